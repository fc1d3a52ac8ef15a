"""Who is trader: the view of it, elections, who may stand. Pure."""
