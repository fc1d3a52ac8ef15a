"""What measuring needs: towns of its own, customers, the floor beside them, schedules and sums."""
