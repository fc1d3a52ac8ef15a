"""The links of one peer to its neighbours: what is sent along them, what comes, and how wires are cut for tests."""
