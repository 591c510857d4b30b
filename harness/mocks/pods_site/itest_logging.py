"""Airflow's logging configuration with the S3 log handler named, on the pods' PYTHONPATH.

Airflow's default has each component find the handler for ``s3://`` among all providers', which imports every one of
them. A `REMOTE_TASK_LOG` in the module of `[logging] logging_config_class` is Airflow's documented way to name it.
"""

# Airflow is not installed where this is type-checked.
# mypy: disable-error-code="import-not-found"

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG
from airflow.providers.amazon.aws.log.s3_task_handler import S3RemoteLogIO

LOGGING_CONFIG = DEFAULT_LOGGING_CONFIG
REMOTE_TASK_LOG = S3RemoteLogIO.from_config()
DEFAULT_REMOTE_CONN_ID = "airflow_logging"
