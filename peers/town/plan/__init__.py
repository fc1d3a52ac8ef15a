"""What a run was asked for: its options, its areas, its market, and whether the machine has room for it."""
