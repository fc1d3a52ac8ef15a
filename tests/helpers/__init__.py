"""What more than one kind of test needs: books, deals, relays, hosts, waiting."""
