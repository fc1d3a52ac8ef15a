"""The checkers: each judges log and books by one of the twelve invariants, and complains of nothing else.

`db.audit.invariants` has them all, by name.
"""
