"""All that touches Pyro5, and the public form of what travels by it."""
