"""Modules for the pods' own Python, put on their PYTHONPATH by `provision`. Nothing here is imported by the mocks."""
