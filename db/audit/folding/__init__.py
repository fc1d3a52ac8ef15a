"""A log played by the audit: what it adds up to, held against what the books say of the same. Start at `fold`."""
