"""Experiments from end to end: measured, drawn, summed up, and put into one report."""
