"""A `mongod` of one's own: found, started, ended."""
