"""The machines of a town: how they find, invite, list and remember each other."""
