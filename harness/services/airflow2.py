"""Airflow 2.11: webserver, scheduler, triggerer and Celery workers as pods. The scheduler parses DAGs itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.releases import LineName
from harness.services import airflow, speed
from harness.services.airflow import API_PORT, python
from harness.topology import DEFAULT_CPU_SHARES, Healthcheck, Pod

WEBSERVER = "webserver"
SCHEDULER = "scheduler"
USER = "admin"

BASIC_AUTH = "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth"
SESSION = "airflow.api.auth.backend.session"
"""Airflow adds it where it is missing, and says so in every process."""

CREATE_USER = (
    f"airflow users create --username {USER} --role Admin --firstname Airflow --lastname Admin"
    " --email admin@example.com --use-random-password"
)

LOGIN_SCRIPT = """
import os, psycopg2
from werkzeug.security import generate_password_hash
address = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("cockroachdb", "postgresql", 1)
connection = psycopg2.connect(address)
hashed = generate_password_hash(os.environ["ITEST_ADMIN_PASSWORD"], method="pbkdf2:sha256:1000")
connection.cursor().execute("UPDATE ab_user SET password = %s WHERE username = %s", (hashed, "admin"))
connection.commit()
"""
"""The user is in the database, which all stacks of an image share as a template; the password is each stack's own.

`airflow users reset-password` does the same in five seconds: it makes the whole web application first. The hash is a
cheap one, as each request of the REST API brings the password: Airflow's own takes a tenth of a second each time.
"""

A_DAY = "86400"
"""For how many seconds a web process may be silent before gunicorn kills it, in a faithful mirror too; else 120.

The time of a pause counts: a stack that slept for longer has its web processes killed when it wakes, and whoever asks
them just then gets a 500 (`tests/itest/test_sharing.py`).
"""


@dataclass(frozen=True, slots=True)
class Components(airflow.Components):
    """Airflow 2.11's: every component, tasks too, reaches the database itself."""

    LINE: ClassVar[LineName] = "2.11"
    API_SERVER: ClassVar[str] = WEBSERVER
    HEALTH_PATH: ClassVar[str] = "/health"
    MIGRATION: ClassVar[tuple[str, ...]] = ("bash", "-c", f"airflow db migrate && {CREATE_USER}")
    PRODUCTION: ClassVar[Mapping[str, str]] = {
        "AIRFLOW__WEBSERVER__SECRET_KEY": "${ITEST_API_SECRET_KEY}",
        # The UI's pages ask the API with their session, clients with a password.
        "AIRFLOW__API__AUTH_BACKENDS": f"{BASIC_AUTH},{SESSION}",
    }

    def core(self) -> tuple[Pod, ...]:
        return (self.webserver(), self.scheduler())

    def webserver(self) -> Pod:
        """UI and REST API, behind gunicorn, which listens once it has made the application."""
        start = 'python -c "$ITEST_LOGIN_SCRIPT" && unset ITEST_ADMIN_PASSWORD && exec airflow webserver'
        ask = f"import urllib.request as u;u.urlopen('http://localhost:{API_PORT}/health',timeout=30)"
        return self.component(
            WEBSERVER,
            1536,
            ("bash", "-c", start),
            Healthcheck(python(ask), "Listening at:", confirm=True, timeout=30),
            extra={
                "AIRFLOW__WEBSERVER__WEB_SERVER_WORKER_TIMEOUT": A_DAY,
                "ITEST_LOGIN_SCRIPT": LOGIN_SCRIPT,
                "ITEST_ADMIN_PASSWORD": "${ITEST_ADMIN_PASSWORD}",
            },
            forwarded_ports=(API_PORT,),
            cpu_shares=DEFAULT_CPU_SHARES if self.faithful else speed.API_SERVER_CPU_SHARES,
        )

    def scheduler(self) -> Pod:
        """It has the memory that Airflow 3 has in two pods."""
        return self.component(
            SCHEDULER, 1280, ("airflow", "scheduler"), self.beats("scheduler", "Starting the scheduler")
        )
