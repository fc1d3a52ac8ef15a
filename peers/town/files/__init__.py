"""The directory of a town, and the files in it that say how the town is."""
