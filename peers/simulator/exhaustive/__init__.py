"""Every order of events of a small market: its states, what must hold in each, and the walk through them."""
