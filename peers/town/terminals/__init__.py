"""The terminals of a town: the first opens its markets and closes them, further ones join it and leave."""
