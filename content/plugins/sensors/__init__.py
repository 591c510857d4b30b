"""Sensors of the team's workflows, and the triggers that they defer to."""
