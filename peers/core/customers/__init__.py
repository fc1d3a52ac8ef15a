"""What a peer does for itself: buying, selling, and asking until it is answered. Pure."""
