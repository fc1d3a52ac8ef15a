"""The switch of a chaos town: a process on every path between the town's processes, which can do what networks do."""
