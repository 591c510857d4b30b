"""Airflow 3: api-server, scheduler, dag-processor, triggerer and Celery workers as pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.releases import LineName
from harness.services import airflow, speed
from harness.services.airflow import API_PORT, python
from harness.topology import DEFAULT_CPU_SHARES, Healthcheck, Pod

API_SERVER = "api-server"
DAG_PROCESSOR = "dag-processor"


@dataclass(frozen=True, slots=True)
class Components(airflow.Components):
    """Airflow 3's: tasks reach the database by way of the API server, and a pod of its own parses DAGs."""

    LINE: ClassVar[LineName] = "3"
    API_SERVER: ClassVar[str] = API_SERVER
    HEALTH_PATH: ClassVar[str] = "/api/v2/monitor/health"
    MIGRATION: ClassVar[tuple[str, ...]] = ("airflow", "db", "migrate")
    PRODUCTION: ClassVar[Mapping[str, str]] = {
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{API_SERVER}:{API_PORT}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__API__SECRET_KEY": "${ITEST_API_SECRET_KEY}",
        "AIRFLOW__API_AUTH__JWT_SECRET": "${ITEST_JWT_SECRET}",
    }

    def core(self) -> tuple[Pod, ...]:
        return (self.api_server(), self.scheduler(), self.dag_processor())

    def api_server(self) -> Pod:
        """The API server; its users' passwords are in a file, which Airflow insists on being able to write."""
        passwords = "/tmp/passwords.json"  # noqa: S108 - inside the container, which has one user
        start = (
            f'printf \'{{"admin": "%s"}}\' "$ITEST_ADMIN_PASSWORD" > {passwords}'
            " && unset ITEST_ADMIN_PASSWORD && exec airflow api-server"
        )
        # The first request builds the execution API, which takes seconds; task clients give up after five.
        ask = (
            f"import urllib.request as u;u.urlopen('http://localhost:{API_PORT}/execution/health',timeout=30)"
        )
        return self.component(
            API_SERVER,
            1536,
            ("bash", "-c", start),
            Healthcheck(python(ask), "Uvicorn running on", confirm=True, timeout=30),
            extra={
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
                "ITEST_ADMIN_PASSWORD": "${ITEST_ADMIN_PASSWORD}",
            },
            forwarded_ports=(API_PORT,),
            cpu_shares=DEFAULT_CPU_SHARES if self.faithful else speed.API_SERVER_CPU_SHARES,
        )

    def scheduler(self) -> Pod:
        return self.component(
            "scheduler", 768, ("airflow", "scheduler"), self.beats("scheduler", "Starting the scheduler")
        )

    def dag_processor(self) -> Pod:
        started = "Starting the Dag Processor Job"
        return self.component(
            DAG_PROCESSOR, 1024, ("airflow", "dag-processor"), self.beats("dag_processor", started)
        )
