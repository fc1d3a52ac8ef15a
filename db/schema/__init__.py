"""The shape of the database, and making it so."""
