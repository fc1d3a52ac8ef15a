"""The proof: reads log, books and journals by itself, and judges them."""
