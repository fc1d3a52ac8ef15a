"""The history of customers: what each asked and was told, when, and whether one order of the log explains it all."""
