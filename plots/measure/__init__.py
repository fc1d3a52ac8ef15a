"""Measuring: how fast the market is, beside how fast it could be.

One module a measurement; each takes a town (or starts its own) and returns a part of `plots.results.bench.Report`.
Whatever is compared is measured in turns, so that a noisy machine hits all sides alike.
"""
