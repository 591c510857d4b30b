"""Would content survive another Airflow image? Findings, a verdict and a report.

The static half compares what a script (`probe`) tells of each image, without running any DAG: `itest upgrade --static`.
What a rehearsal with live runs finds takes the same `findings.Finding`, and the same reports.
"""
