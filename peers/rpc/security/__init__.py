"""TLS between machines and clients of a town, and the certificates by which they know each other."""
