"""The figure of each experiment, from its data on disk."""
