"""The trader in office, from the bid for the post to the last answer."""
