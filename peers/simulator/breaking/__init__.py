"""The faults of a plan as they are played: what begins, on whom, and what ends."""
