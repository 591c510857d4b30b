"""Keeps an Airflow pod's content volume equal to a revision of a git repository.

Only the standard library and the git command line are used; `syncer/README.md` is the contract.
"""
