"""The ledger: a log of numbered places in MongoDB (or in memory), and the books that are made from it."""
