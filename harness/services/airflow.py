"""What the Airflow containers of every line have in common: their environment, workers, triggerer, the migration.

`PRODUCTION` are settings any deployment of this shape has; what makes the mirror quick is in `services.speed`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.releases import LineName
from harness.services import mocks, speed
from harness.services.database import OPEN, Access
from harness.services.git import syncer_environment
from harness.services.redis import BROKER_URL, RESULTS_URL
from harness.topology import SHARED_DIR, After, Healthcheck, Mount, Pod, Service, in_sandbox

API_PORT = 8080
"""Of the service with UI and REST API, in every line."""
CA_FILE = f"{SHARED_DIR}/ca-bundle.pem"

PRODUCTION: dict[str, str] = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": "${ITEST_FERNET_KEY}",
    "AIRFLOW__CELERY__BROKER_URL": BROKER_URL,
    "AIRFLOW__CELERY__RESULT_BACKEND": RESULTS_URL,
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


@dataclass(frozen=True, slots=True)
class Components(ABC):
    """Makes the pods of one mirror: with production's values where it is `faithful`, else quick ones."""

    LINE: ClassVar[LineName]
    PRODUCTION: ClassVar[Mapping[str, str]]
    """The settings that only this line has, beside those above."""
    API_SERVER: ClassVar[str]
    """Name of the pod that serves UI and REST API at `API_PORT`."""
    HEALTH_PATH: ClassVar[str]
    """Where that pod tells, without a login, how each component is."""
    MIGRATION: ClassVar[tuple[str, ...]]
    """Command that brings an empty database to the image's schema."""

    schema: After
    """What has to have happened before Airflow's schema is there."""
    access: Access = OPEN
    faithful: bool = False
    gate: bool = False

    def pods(self, workers: int, triggerers: int) -> tuple[Pod, ...]:
        """The line's own pods, and so many triggerers and workers."""
        return (
            *self.core(),
            *(self.triggerer(number) for number in range(1, triggerers + 1)),
            *(self.worker(number) for number in range(1, workers + 1)),
        )

    @abstractmethod
    def core(self) -> tuple[Pod, ...]:
        """All pods of which there is one; that with the API first."""

    @classmethod
    def environment(cls, access: Access, faithful: bool = False) -> dict[str, str]:
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
        return {
            **PRODUCTION,
            **cls.PRODUCTION,
            **database,
            **TRUST,
            **observed,
            "PATH": PATH,
            **speed.environment(cls.LINE, faithful),
        }

    def component(
        self,
        name: str,
        memory: int,
        command: tuple[str, ...],
        healthcheck: Healthcheck,
        extra: dict[str, str] | None = None,
        **fields: Any,
    ) -> Pod:
        """A pod of Airflow's image; `extra` is more environment, `fields` are `Service`'s."""
        main = Service(
            name=name,
            image="airflow",
            memory=memory,
            command=command,
            environment={**self.environment(self.access, self.faithful), **(extra or {})},
            mounts=(Mount("shared", SHARED_DIR, read_only=True), *self.access.mounts),
            healthcheck=healthcheck,
            after=(After("mocks"), self.schema, After("redis")),
            stop_grace=20,
            **fields,
        )
        return Pod(main, syncer_environment(), self.gate)

    def triggerer(self, number: int) -> Pod:
        name = "triggerer" if number == 1 else f"triggerer-{number}"
        command = ("airflow", "triggerer", *(() if self.faithful else speed.NO_LOG_SERVER))
        return self.component(name, 768, command, self.beats("triggerer", "Starting the triggerer"))

    def worker(self, number: int) -> Pod:
        """A Celery worker. Ready when it answers a Celery ping itself."""
        ping = (
            "import os,socket,sys,celery;"
            "app=celery.Celery(broker=os.environ['AIRFLOW__CELERY__BROKER_URL']);"
            "me='celery@'+socket.gethostname();"
            "sys.exit(not app.control.ping(destination=[me],timeout=3))"
        )
        flags = ("--without-gossip", "--without-mingle", *speed.NO_LOG_SERVER)
        return self.component(
            f"worker-{number}",
            2048,
            ("airflow", "celery", "worker", *(() if self.faithful else flags)),
            Healthcheck(("python", "-c", ping), r"celery@\S+ ready", timeout=20),
            # As the official Helm chart has it: a stop reaches Celery alone, which then lets its tasks end.
            extra={"DUMB_INIT_SETSID": "0", **({} if self.faithful else speed.worker(self.LINE))},
        )

    def beats(self, component: str, announced_by: str) -> Healthcheck:
        """Ready when the pod with the API reports a fresh heartbeat of `component`.

        The announcement comes just before the first heartbeat; a boot waits for that in the database (`Watcher`).
        """
        url = f"http://{self.API_SERVER}:{API_PORT}{self.HEALTH_PATH}"
        return Healthcheck(
            python(
                "import json,sys,urllib.request as u;"
                f"h=json.load(u.urlopen('{url}',timeout=5));"
                f"sys.exit(h['{component}']['status']!='healthy')"
            ),
            announced_by,
        )

    @classmethod
    def migrate(cls, after: After, access: Access = OPEN) -> tuple[Service, Service]:
        """(sandbox, one-shot): bring the metadata database to the image's schema, `after` it can be used."""
        return in_sandbox(
            Service(
                name="migrate",
                image="airflow",
                memory=1024,
                command=cls.MIGRATION,
                # Nothing of the mocks' is there yet, and the database is known to be ready.
                environment={**cls.environment(access, faithful=True), "CONNECTION_CHECK_MAX_COUNT": "0"},
                mounts=access.mounts,
                after=(after,),
                one_shot=True,
            )
        )


def python(code: str) -> tuple[str, ...]:
    """A probe that needs the standard library only; without `site` it starts several times as fast."""
    return ("python", "-E", "-S", "-c", code)
