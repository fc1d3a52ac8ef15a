"""Experiments: a workload on a town of its own, its data as CSV, its figure. One module each."""
