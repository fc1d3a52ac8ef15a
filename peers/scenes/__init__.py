"""Scenes: what earlier systems showed as their proof, played again by a town of real processes before an audience."""
