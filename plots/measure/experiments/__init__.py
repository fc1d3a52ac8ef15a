"""How each experiment is measured: real towns, each audited, and what was found written down as CSV."""
