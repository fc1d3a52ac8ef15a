"""Every rule of the market: records, money, stock, decisions. Pure."""
