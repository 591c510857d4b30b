"""Airflow 3: the migration, and api-server, scheduler, dag-processor, triggerer and Celery workers as pods.

`PRODUCTION` are settings any deployment of this shape has. `LEAN` are those that make a test mirror quick on
two cores; each says what it changes against production.
"""

from __future__ import annotations

from harness.services.database import ASYNC_URL, URL
from harness.services.git import syncer_environment
from harness.services.redis import BROKER_URL, RESULTS_URL
from harness.topology import SHARED_DIR, After, Healthcheck, Mount, Pod, Service

API_PORT = 8080
HEALTH_URL = f"http://api-server:{API_PORT}/api/v2/monitor/health"
CA_FILE = f"{SHARED_DIR}/ca-bundle.pem"

PRODUCTION: dict[str, str] = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": "${ITEST_FERNET_KEY}",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://api-server:{API_PORT}/execution/",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": URL,
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": ASYNC_URL,
    "AIRFLOW__CELERY__BROKER_URL": BROKER_URL,
    "AIRFLOW__CELERY__RESULT_BACKEND": RESULTS_URL,
    "AIRFLOW__API__SECRET_KEY": "${ITEST_API_SECRET_KEY}",
    "AIRFLOW__API_AUTH__JWT_SECRET": "${ITEST_JWT_SECRET}",
    "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
    "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "airflow_logging",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://airflow-logs/",
}

LEAN: dict[str, str] = {
    # The loop starts its next round sooner: runs advance in tenths of seconds. Costs scheduler CPU when idle.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # A finished task frees its worker slot within a second instead of up to five.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # A new or changed DAG file is seen within seconds instead of minutes.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    # Two cores: one API process, four task slots.
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
    # The entrypoint need not wait for the database and the broker, at seconds of imports a pod: a pod starts
    # when its dependencies are ready.
    "CONNECTION_CHECK_MAX_COUNT": "0",
    # No calls home.
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


def environment() -> dict[str, str]:
    """What every Airflow container has in its environment, with placeholders for the stack's keys."""
    return {**PRODUCTION, **LEAN, **TRUST, "PATH": PATH}


def _component(
    name: str,
    command: tuple[str, ...],
    healthcheck: Healthcheck,
    extra: dict[str, str] | None = None,
    forwarded_ports: tuple[int, ...] = (),
) -> Pod:
    main = Service(
        name=name,
        image="airflow",
        command=command,
        environment={**environment(), **(extra or {})},
        mounts=(Mount("shared", SHARED_DIR, read_only=True),),
        healthcheck=healthcheck,
        after=(After("mocks"), After("migrate", "completed"), After("redis")),
        forwarded_ports=forwarded_ports,
        stop_grace=20,
    )
    return Pod(main, syncer_environment())


def _python(code: str) -> tuple[str, ...]:
    """A probe that needs the standard library only; without `site` it starts several times as fast."""
    return ("python", "-E", "-S", "-c", code)


def _beats(component: str) -> Healthcheck:
    """Ready when the API server reports a fresh heartbeat of `component`."""
    return Healthcheck(
        _python(
            "import json,sys,urllib.request as u;"
            f"h=json.load(u.urlopen('{HEALTH_URL}',timeout=5));"
            f"sys.exit(h['{component}']['status']!='healthy')"
        )
    )


def migrate() -> Service:
    """One-shot: bring the metadata database to the image's schema."""
    return Service(
        name="migrate",
        image="airflow",
        command=("airflow", "db", "migrate"),
        environment=environment(),
        mounts=(Mount("shared", SHARED_DIR, read_only=True),),
        after=(After("cockroachdb"), After("mocks")),
        one_shot=True,
        guarded=True,
    )


def api_server() -> Pod:
    """The API server; its users' passwords are in a file, which Airflow insists on being able to write."""
    passwords = "/tmp/passwords.json"  # noqa: S108 - inside the container, which has one user
    start = (
        f'printf \'{{"admin": "%s"}}\' "$ITEST_ADMIN_PASSWORD" > {passwords}'
        " && unset ITEST_ADMIN_PASSWORD && exec airflow api-server"
    )
    # The first request builds the execution API, which takes seconds; task clients give up after five.
    ask = f"import urllib.request as u;u.urlopen('http://localhost:{API_PORT}/execution/health',timeout=30)"
    return _component(
        "api-server",
        ("bash", "-c", start),
        Healthcheck(_python(ask), timeout=30),
        extra={
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
            "ITEST_ADMIN_PASSWORD": "${ITEST_ADMIN_PASSWORD}",
        },
        forwarded_ports=(API_PORT,),
    )


def scheduler() -> Pod:
    return _component("scheduler", ("airflow", "scheduler"), _beats("scheduler"))


def dag_processor() -> Pod:
    return _component("dag-processor", ("airflow", "dag-processor"), _beats("dag_processor"))


def triggerer() -> Pod:
    return _component("triggerer", ("airflow", "triggerer"), _beats("triggerer"))


def worker(number: int = 1) -> Pod:
    """A Celery worker. Ready when it answers a Celery ping itself."""
    ping = (
        "import os,socket,sys,celery;"
        "app=celery.Celery(broker=os.environ['AIRFLOW__CELERY__BROKER_URL']);"
        "me='celery@'+socket.gethostname();"
        "sys.exit(not app.control.ping(destination=[me],timeout=3))"
    )
    flags = ("--without-gossip", "--without-mingle", "--skip-serve-logs")
    return _component(
        f"worker-{number}",
        ("airflow", "celery", "worker", *flags),
        Healthcheck(("python", "-c", ping), interval=60, timeout=20),
        # As the official Helm chart has it: a stop reaches Celery alone, which then lets its tasks end.
        extra={"DUMB_INIT_SETSID": "0"},
    )
