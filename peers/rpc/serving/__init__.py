"""Taking callers and answering them: connections, who waits for what, and bounds on each."""
