"""Airflow reads its settings when it is imported, so they are set before any test module is."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
# Tests in database/ bring a database; the others compile statements and connect to nothing.
os.environ.setdefault(
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "cockroachdb://airflow@localhost:26257/airflow?sslmode=disable"
)
