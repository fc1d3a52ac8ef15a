"""What each experiment is, apart from how it is measured and drawn: its sizes, its data on disk, what they come to.

One module an experiment. `plots.measure.experiments` and `plots.draw.experiments` have one of the same name each, and
`plots.experiments` joins the three.
"""
