"""Airflow 3: the migration, and api-server, scheduler, dag-processor, triggerer and Celery workers as pods.

`PRODUCTION` are settings any deployment of this shape has; what makes the mirror quick is in `services.speed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.services import mocks, speed
from harness.services.database import OPEN, Access
from harness.services.git import syncer_environment
from harness.services.redis import BROKER_URL, RESULTS_URL
from harness.topology import (
    DEFAULT_CPU_SHARES,
    SHARED_DIR,
    After,
    Healthcheck,
    Mount,
    Pod,
    Service,
    in_sandbox,
)

API_PORT = 8080
DAG_PROCESSOR = "dag-processor"
HEALTH_URL = f"http://api-server:{API_PORT}/api/v2/monitor/health"
CA_FILE = f"{SHARED_DIR}/ca-bundle.pem"

PRODUCTION: dict[str, str] = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": "${ITEST_FERNET_KEY}",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://api-server:{API_PORT}/execution/",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    "AIRFLOW__CELERY__BROKER_URL": BROKER_URL,
    "AIRFLOW__CELERY__RESULT_BACKEND": RESULTS_URL,
    "AIRFLOW__API__SECRET_KEY": "${ITEST_API_SECRET_KEY}",
    "AIRFLOW__API_AUTH__JWT_SECRET": "${ITEST_JWT_SECRET}",
    "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
    "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "airflow_logging",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://airflow-logs/",
    # No calls home: the network is closed.
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}

TRUST: dict[str, str] = {
    # One variable for each TLS library in use: OpenSSL's default (slack_sdk, aiohttp, httpx), httplib2
    # (Google's client), requests, botocore.
    "SSL_CERT_FILE": CA_FILE,
    "HTTPLIB2_CA_CERTS": CA_FILE,
    "REQUESTS_CA_BUNDLE": CA_FILE,
    "AWS_CA_BUNDLE": CA_FILE,
}

PATH = f"{SHARED_DIR}/bin:/home/airflow/.local/bin:/usr/local/bin:/usr/bin:/bin"
"""`ic-admin` comes first on PATH; the rest is the image's own."""


def environment(access: Access, faithful: bool = False) -> dict[str, str]:
    """What every Airflow container has in its environment, with placeholders for the stack's keys."""
    database = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": access.url,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": access.async_url,
        **access.environment,
    }
    # The mocks have to know which run a request comes from: pods announce it (harness/mocks/pods_site).
    observed = {
        "PYTHONPATH": speed.LOGGING_MODULE_DIR,
        "ITEST_IDENTITY": f"{mocks.NAME}:{mocks.IDENTITY_PORT}",
    }
    return {**PRODUCTION, **database, **TRUST, **observed, "PATH": PATH, **speed.environment(faithful)}


@dataclass(frozen=True, slots=True)
class Components:
    """Makes the pods of one mirror: with production's values where it is `faithful`, else quick ones."""

    schema: After
    """What has to have happened before Airflow's schema is there."""
    access: Access = OPEN
    faithful: bool = False
    gate: bool = False

    def pods(self, workers: int) -> tuple[Pod, ...]:
        """API server, scheduler, DAG processor, triggerer and so many workers."""
        core = (self.api_server(), self.scheduler(), self.dag_processor(), self.triggerer())
        return (*core, *(self.worker(number) for number in range(1, workers + 1)))

    def _component(
        self,
        name: str,
        memory: int,
        command: tuple[str, ...],
        healthcheck: Healthcheck,
        extra: dict[str, str] | None = None,
        **fields: Any,
    ) -> Pod:
        main = Service(
            name=name,
            image="airflow",
            memory=memory,
            command=command,
            environment={**environment(self.access, self.faithful), **(extra or {})},
            mounts=(Mount("shared", SHARED_DIR, read_only=True), *self.access.mounts),
            healthcheck=healthcheck,
            after=(After("mocks"), self.schema, After("redis")),
            stop_grace=20,
            **fields,
        )
        return Pod(main, syncer_environment(), self.gate)

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
        return self._component(
            "api-server",
            1536,
            ("bash", "-c", start),
            Healthcheck(_python(ask), "Uvicorn running on", confirm=True, timeout=30),
            extra={
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
                "ITEST_ADMIN_PASSWORD": "${ITEST_ADMIN_PASSWORD}",
            },
            forwarded_ports=(API_PORT,),
            cpu_shares=DEFAULT_CPU_SHARES if self.faithful else speed.API_SERVER_CPU_SHARES,
        )

    def scheduler(self) -> Pod:
        return self._component(
            "scheduler", 768, ("airflow", "scheduler"), _beats("scheduler", "Starting the scheduler")
        )

    def dag_processor(self) -> Pod:
        started = "Starting the Dag Processor Job"
        return self._component(
            DAG_PROCESSOR, 1024, ("airflow", "dag-processor"), _beats("dag_processor", started)
        )

    def triggerer(self) -> Pod:
        command = ("airflow", "triggerer", *(() if self.faithful else speed.NO_LOG_SERVER))
        return self._component("triggerer", 768, command, _beats("triggerer", "Starting the triggerer"))

    def worker(self, number: int) -> Pod:
        """A Celery worker. Ready when it answers a Celery ping itself."""
        ping = (
            "import os,socket,sys,celery;"
            "app=celery.Celery(broker=os.environ['AIRFLOW__CELERY__BROKER_URL']);"
            "me='celery@'+socket.gethostname();"
            "sys.exit(not app.control.ping(destination=[me],timeout=3))"
        )
        flags = ("--without-gossip", "--without-mingle", *speed.NO_LOG_SERVER)
        return self._component(
            f"worker-{number}",
            2048,
            ("airflow", "celery", "worker", *(() if self.faithful else flags)),
            Healthcheck(("python", "-c", ping), r"celery@\S+ ready", timeout=20),
            # As the official Helm chart has it: a stop reaches Celery alone, which then lets its tasks end.
            extra={"DUMB_INIT_SETSID": "0", **({} if self.faithful else speed.WORKER)},
        )


def _python(code: str) -> tuple[str, ...]:
    """A probe that needs the standard library only; without `site` it starts several times as fast."""
    return ("python", "-E", "-S", "-c", code)


def _beats(component: str, announced_by: str) -> Healthcheck:
    """Ready when the API server reports a fresh heartbeat of `component`.

    The announcement comes just before the first heartbeat; a boot waits for that in the database (`Watcher`).
    """
    return Healthcheck(
        _python(
            "import json,sys,urllib.request as u;"
            f"h=json.load(u.urlopen('{HEALTH_URL}',timeout=5));"
            f"sys.exit(h['{component}']['status']!='healthy')"
        ),
        announced_by,
    )


def migrate(after: After, access: Access = OPEN) -> tuple[Service, Service]:
    """(sandbox, one-shot): bring the metadata database to the image's schema, `after` it can be used."""
    return in_sandbox(
        Service(
            name="migrate",
            image="airflow",
            memory=1024,
            command=("airflow", "db", "migrate"),
            # Nothing of the mocks' is there yet, and the database is known to be ready.
            environment={**environment(access, faithful=True), "CONNECTION_CHECK_MAX_COUNT": "0"},
            mounts=access.mounts,
            after=(after,),
            one_shot=True,
        )
    )
