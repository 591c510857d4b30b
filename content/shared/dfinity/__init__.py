"""What the team's Airflow content knows about the Internet Computer.

Nothing here imports Airflow, except `compat`, which hides the differences between its versions.
"""
