"""The public form of what travels: what a caller that knows only Pyro5 sends, gets, and reads as an error."""
