"""The books as a town uses them, and the set of members that they may be in."""
