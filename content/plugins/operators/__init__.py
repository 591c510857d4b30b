"""Operators of the team's workflows."""
