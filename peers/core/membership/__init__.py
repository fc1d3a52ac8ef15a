"""Who there is, and who is next to whom: members, gossip, the overlay graph, clocks. Pure."""
