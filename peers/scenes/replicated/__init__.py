"""The scenes of the market `replicated`: books in three members, one of which takes the writes."""
