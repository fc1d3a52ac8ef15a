"""Faults before an audience: each demonstration starts a town of its own, breaks it, and proves what it claims."""
