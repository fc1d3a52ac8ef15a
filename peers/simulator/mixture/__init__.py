"""Schedules of towns that are all different, by the million: drawn, played, and tallied over many sittings."""
