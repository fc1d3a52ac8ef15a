"""One peer's process: the host of its core, and all that the core has done outside itself."""
