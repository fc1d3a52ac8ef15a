"""The ledger as the core knows it: the log, the port to it, and what a log adds up to. Pure."""
