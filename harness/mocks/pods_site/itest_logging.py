"""Airflow's logging configuration with the S3 log handler named, on the pods' PYTHONPATH.

Airflow's default has each component find the handler for ``s3://`` among all providers', which imports every one of
them. A `REMOTE_TASK_LOG` in the module of `[logging] logging_config_class` is Airflow's documented way to name it.
Where ITEST_TASK_MODULES is `late`, the handler is made, and the AWS SDK imported, when a log is first read or written.
"""

# Airflow is not installed where this is type-checked.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENABLED = "AIRFLOW__LOGGING__REMOTE_LOGGING"
LATE = os.environ.get("ITEST_TASK_MODULES") == "late"


def s3_handler() -> Any:
    """Airflow's handler of logs in S3, as its configuration has it."""
    handler = import_module("airflow.providers.amazon.aws.log.s3_task_handler").S3RemoteLogIO
    if hasattr(handler, "from_config"):
        return handler.from_config()
    # Before Airflow 3.3 its default configuration makes the handler itself, in these words.
    options = import_module("airflow.configuration").conf
    return handler(
        base_log_folder=options.get("logging", "base_log_folder"),
        remote_base=options.get("logging", "remote_base_log_folder"),
        delete_local_copy=options.getboolean("logging", "delete_local_logs"),
    )


class Late:
    """Airflow's S3 handler, made when something other than `processors` is asked of it."""

    processors = ()
    """As `S3RemoteLogIO` has it: asked for whenever a process sets up its logging."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        handler = self.__dict__.setdefault("handler", s3_handler())
        return getattr(handler, name)


def default_configuration() -> dict[str, Any]:
    """Airflow's own; with a late handler, without the handler that its module would make at its import."""
    hidden = os.environ.pop(ENABLED, None) if LATE else None
    if hidden is not None:
        os.environ[ENABLED] = "False"
    try:
        configuration: dict[str, Any] = import_module(
            "airflow.config_templates.airflow_local_settings"
        ).DEFAULT_LOGGING_CONFIG
    finally:
        if hidden is not None:
            os.environ[ENABLED] = hidden
    return configuration


LOGGING_CONFIG = default_configuration()
REMOTE_TASK_LOG = Late() if LATE else s3_handler()
DEFAULT_REMOTE_CONN_ID = "airflow_logging"
