"""What was measured, as values that are written down and read again. Knows nothing of how, nor of pictures."""
