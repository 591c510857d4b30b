"""What DAG files have in common: params, and groups of tasks. Imports Airflow, unlike `dfinity`."""
