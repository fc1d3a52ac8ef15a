"""Whole schedules: one played and judged, many on all cores, a failing one made smaller."""
