"""The processes of a terminal's peers: having them born, hearing what they tell, ending them."""
