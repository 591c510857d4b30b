"""The Airflow project's compose quickstart, rebuilt on our images: how long until its user sees a first green run.

    python -m bench.quickstart

What it is to resemble: the containers, their order, their health checks and their settings. What differs:

* the images are ours: Airflow's as the mirror's own, whose entrypoint does what the official one does; for
  PostgreSQL the stand-in, which is PostgreSQL 15 and gets PostgreSQL's own defaults back on its command line;
* no example DAGs, one DAG file in their place; logs and configuration are volumes, not folders of the host;
* containers that end are not restarted: a crash shall be seen, not be counted as a slow start.
"""

from __future__ import annotations

import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from cryptography.fernet import Fernet

from bench.peers import ComposeProject, PeerError, User, running
from bench.shapes import QUICKSTART, QUICKSTART_DAG
from harness import engine
from harness.compose_stack import ComposeError, compose_command
from harness.engine import EngineError
from harness.images import ImageError
from harness.labels import Owner
from harness.paths import STATE
from harness.prepare import OptionError, Options, Prepared, decide, with_images
from harness.runtime.sweep import remove_stack, sweep_stale

IMAGES = ("airflow", "database", "redis")
API_SERVER = "airflow-apiserver"
API_PORT = 8080
DATABASE_PORT = 26257
USER = PASSWORD = "airflow"  # noqa: S105 - the quickstart's own
HEALTHY_WITHIN = 600
GREEN_WITHIN = 300

HOME = "/opt/airflow"
CONTENT = f"{HOME}/content"
"""Where our image has ``dags/`` and ``plugins/``; those in ``/opt/airflow`` lead there."""
DATABASE_FOLDER = "/var/lib/cockroach-standin"


@dataclass(frozen=True, slots=True)
class Quickstart:
    """One instance of the topology.

    `images` maps the keys of `IMAGES` to references; `folder` is on the host and has ``dags/`` and ``plugins/``.
    """

    stack: str
    images: Mapping[str, str]
    owner: Owner
    folder: Path
    bind_address: str = "127.0.0.1"
    fernet_key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def to_compose(self) -> dict[str, Any]:
        """The compose file as data, every text as the container shall see it (see `render`)."""
        services = {
            "postgres": _postgres(),
            "redis": _redis(),
            "airflow-init": self._init(),
            API_SERVER: self._api_server(),
            "airflow-scheduler": self._airflow("scheduler", _asks_itself(8974, "/health")),
            "airflow-dag-processor": self._airflow("dag-processor", _checks_job("DagProcessorJob")),
            "airflow-worker": self._worker(),
            "airflow-triggerer": self._airflow("triggerer", _checks_job("TriggererJob")),
        }
        return {
            "services": {name: self._owned(name, service) for name, service in services.items()},
            "networks": {"default": {"labels": self.owner.labels(self.stack)}},
            "volumes": {
                name: {"labels": self.owner.labels(self.stack)} for name in ("postgres", "config", "logs")
            },
        }

    def render(self) -> str:
        """The compose file's text."""
        return yaml.safe_dump(_literal(self.to_compose()), sort_keys=False, width=110)

    def _owned(self, name: str, service: dict[str, Any]) -> dict[str, Any]:
        key = {"postgres": "database", "redis": "redis"}.get(name, "airflow")
        return {
            "image": self.images[key],
            "pull_policy": "never",
            "labels": self.owner.labels(self.stack, name),
            **service,
        }

    # ---- Airflow

    def environment(self) -> dict[str, str]:
        """The quickstart's settings: none that makes it quicker, and the defaults for all others."""
        login = f"airflow:airflow@postgres:{DATABASE_PORT}/airflow"
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{login}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{login}",
            "AIRFLOW__CELERY__BROKER_URL": "redis://:@redis:6379/0",
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "true",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{API_SERVER}:{API_PORT}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": self.jwt_secret,
            "AIRFLOW__API_AUTH__JWT_ISSUER": "airflow",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "true",
            "AIRFLOW_CONFIG": f"{HOME}/config/airflow.cfg",
        }

    def _common(self, *, after: Mapping[str, str]) -> dict[str, Any]:
        return {
            "environment": self.environment(),
            "user": "50000:0",
            "volumes": [
                _from_host(self.folder / "dags"),
                _from_host(self.folder / "plugins"),
                f"logs:{HOME}/logs",
                f"config:{HOME}/config",
            ],
            "depends_on": {
                name: {"condition": condition}
                for name, condition in {
                    "redis": "service_healthy",
                    "postgres": "service_healthy",
                    **after,
                }.items()
            },
        }

    def _airflow(self, command: str, test: list[str], **after: str) -> dict[str, Any]:
        return {
            **self._common(after={"airflow-init": "service_completed_successfully", **after}),
            "command": command.split(),
            "healthcheck": _healthcheck(test, interval=30, timeout=10, retries=5, start_period=30),
        }

    def _api_server(self) -> dict[str, Any]:
        return {
            **self._airflow("api-server", _asks_itself(API_PORT, "/api/v2/monitor/health")),
            # An address without a port: the engine picks one.
            "ports": [f"{self.bind_address}::{API_PORT}"],
        }

    def _worker(self) -> dict[str, Any]:
        app = "airflow.providers.celery.executors.celery_executor.app"
        ping = ["CMD-SHELL", f'celery --app {app} inspect ping -d "celery@$HOSTNAME"']
        made = self._airflow("celery worker", ping, **{API_SERVER: "service_healthy"})
        # A stop reaches Celery alone, which then lets its tasks end.
        return {**made, "environment": {**made["environment"], "DUMB_INIT_SETSID": "0"}}

    def _init(self) -> dict[str, Any]:
        """As root: write the configuration that all share, migrate, make the user, give the folders away.

        The entrypoint migrates and makes the user, so every command that goes through it does so first: the
        original calls it twice, and so does this.
        """
        script = (
            "/entrypoint airflow version"
            " && /entrypoint airflow config list > /dev/null"
            f" && chown -R 50000:0 {HOME}/logs {HOME}/config"
        )
        made = self._common(after={})
        first_user = {"_AIRFLOW_WWW_USER_USERNAME": USER, "_AIRFLOW_WWW_USER_PASSWORD": PASSWORD}
        tasks = {"_AIRFLOW_DB_MIGRATE": "true", "_AIRFLOW_WWW_USER_CREATE": "true"}
        return {
            **made,
            "environment": {**made["environment"], **tasks, **first_user},
            "user": "0:0",
            "entrypoint": ["/bin/bash"],
            "command": ["-c", script],
        }


def _postgres() -> dict[str, Any]:
    """The stand-in without its dress: what its configuration file changes is PostgreSQL's default again.

    The command line wins over the file. With the plain search path, JSON, version() and the advisory locks are
    PostgreSQL's own.
    """
    plain = {
        "search_path": '"$user", public',
        "default_transaction_isolation": "read committed",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "max_connections": "100",
        "autovacuum_naptime": "1min",
    }
    return {
        "command": [
            "postgres",
            *(part for name, value in plain.items() for part in ("-c", f"{name}={value}")),
        ],
        "volumes": [f"postgres:{DATABASE_FOLDER}"],
        "healthcheck": _healthcheck(
            ["CMD", "pg_isready", "-U", "airflow"], interval=10, retries=5, start_period=5
        ),
    }


def _redis() -> dict[str, Any]:
    return {
        "healthcheck": _healthcheck(
            ["CMD", "redis-cli", "ping"], interval=10, timeout=30, retries=50, start_period=30
        )
    }


def _from_host(folder: Path) -> dict[str, Any]:
    return {"type": "bind", "source": str(folder), "target": f"{CONTENT}/{folder.name}", "read_only": True}


def _healthcheck(test: list[str], *, retries: int, **seconds: int) -> dict[str, Any]:
    return {"test": test, "retries": retries, **{name: f"{value}s" for name, value in seconds.items()}}


def _asks_itself(port: int, path: str) -> list[str]:
    return ["CMD", "curl", "--fail", f"http://localhost:{port}{path}"]


def _checks_job(kind: str) -> list[str]:
    return ["CMD-SHELL", f'airflow jobs check --job-type {kind} --hostname "$HOSTNAME"']


def _literal(data: Any) -> Any:
    """`data` with every dollar sign doubled, which compose would otherwise take for one of its variables."""
    if isinstance(data, dict):
        return {key: _literal(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_literal(value) for value in data]
    return data.replace("$", "$$") if isinstance(data, str) else data


# ---- measuring


def measure_quickstart(prepared: Prepared) -> dict[str, float]:
    """Boot the quickstart and run its first DAG: seconds from the command until all is healthy (``healthy``) and
    until the first green run (``first_green``).

    Builds missing images first, which does not count. Leaves nothing behind, whatever goes wrong, Ctrl-C too.
    Raises `PeerError`, `ComposeError`, `EngineError` and `ImageError`.
    """
    command = tuple(compose_command())
    # Its database is always the stand-in, whatever the mirror's is.
    references = with_images(replace(prepared, database="stand-in"), IMAGES).references
    client = engine.client()
    sweep_stale(client)
    stack = f"itest-quickstart-{secrets.token_hex(3)}"
    with _folder(stack) as folder:
        made = Quickstart(stack, references, Owner.this_process(), folder, bind_address=engine.bind_address())
        file = folder / "docker-compose.yaml"
        file.write_text(made.render())
        project = ComposeProject(command, stack, file)
        began = time.monotonic()
        with running(project, HEALTHY_WITHIN, lambda: remove_stack(client, stack)):
            healthy = time.monotonic() - began
            url = f"http://{engine.host()}:{project.port(API_SERVER, API_PORT)}"
            with User(url, USER, PASSWORD) as user:
                user.run_once(QUICKSTART, GREEN_WITHIN)
            green = time.monotonic() - began
    return {"healthy": round(healthy, 2), "first_green": round(green, 2)}


@contextmanager
def _folder(stack: str) -> Iterator[Path]:
    """A folder below the checkout, where engines that run in a machine of their own find it too, with the DAG."""
    (STATE / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{stack}-", dir=STATE / "bench") as name:
        made = [Path(name) / "dags", Path(name) / "plugins"]
        for folder in made:
            folder.mkdir()
        file = made[0] / f"{QUICKSTART}.py"
        file.write_text(QUICKSTART_DAG)
        # Airflow's user in the container is nobody here, and our umask may be strict.
        for path in (*made, file):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield Path(name)


def _terminate(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> int:
    """Print the measured seconds as JSON."""
    signal.signal(signal.SIGTERM, _terminate)  # as an exception, so that what was started is removed
    try:
        print(json.dumps(measure_quickstart(decide(Options.from_environment()))))
    except (PeerError, ComposeError, EngineError, ImageError, OptionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; what was started is removed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
