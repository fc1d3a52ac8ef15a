"""What the peers of a chaos town do otherwise than others; in any other town, nothing here is ever called."""
