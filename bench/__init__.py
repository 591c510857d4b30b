"""Measurements of the mirror: repeatable, with their spread, and never compared across machines."""
