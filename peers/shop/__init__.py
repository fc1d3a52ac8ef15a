"""The counter of the trading post: a customer by hand, at a prompt or from a pipe."""
