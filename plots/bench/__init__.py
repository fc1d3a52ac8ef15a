"""`bazaar bench`: how fast the market is, beside how fast it could be, measured in one run.

One module a measurement; each takes a town (or starts its own) and returns a part of `plots.bench.report.Report`.
Whatever is compared is measured in turns, so that a noisy machine hits all sides alike.
"""
