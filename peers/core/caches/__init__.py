"""What a trader that shares a warehouse keeps of the stock at hand: several policies behind one interface. Pure."""
