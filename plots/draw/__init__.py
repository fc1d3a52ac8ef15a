"""Figures, drawn from what was written down. Nothing is measured here, and no process is asked for anything."""
