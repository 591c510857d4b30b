"""CockroachDB itself: one node or three, as its documentation starts them. Nothing here ran on a real one yet.

Each command and statement names its page below https://www.cockroachlabs.com/docs/stable/. Tests hold them against a
`cockroach` that only writes down what it is told.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.topology import After, Healthcheck, Service

NAME = "cockroachdb"
PORT = 26257
DATABASE = "airflow"
USER = "airflow"
SETTINGS = "cockroachdb-settings"
"""One-shot that makes database and user; what needs the database waits for it."""

INIT = "cockroachdb-init"
LISTENS = r"(CockroachDB node starting|initial startup completed|cockroach init)"
"""A node of a cluster says that it waits for `cockroach init`; a single node, that it has started."""

# local-testing: speed over durability.
TEST_SETTINGS = (
    "SET CLUSTER SETTING kv.range_merge.queue_interval = '50ms'",
    "SET CLUSTER SETTING jobs.registry.interval.gc = '30s'",
    "SET CLUSTER SETTING jobs.registry.interval.cancel = '180s'",
    "SET CLUSTER SETTING jobs.retention_time = '15s'",
    "SET CLUSTER SETTING sql.stats.automatic_collection.enabled = false",
    "SET CLUSTER SETTING kv.range_split.by_load_merge_delay = '5s'",
    'ALTER RANGE default CONFIGURE ZONE USING "gc.ttlseconds" = 600',
    'ALTER DATABASE system CONFIGURE ZONE USING "gc.ttlseconds" = 600',
)

# create-database, create-user, grant
SCHEMA = (
    f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
    f"CREATE USER IF NOT EXISTS {USER}",
    f"GRANT ALL ON DATABASE {DATABASE} TO {USER}",
    f"GRANT CREATE ON SCHEMA {DATABASE}.public TO {USER}",
)


def single_node() -> tuple[Service, ...]:
    """One node in memory, and what sets it up."""
    # cockroach-start-single-node
    command = ("start-single-node", "--insecure", "--store=type=mem,size=0.25", f"--listen-addr=:{PORT}")
    return (_node(NAME, command, 2048, ready="CockroachDB node starting"), settings((After(NAME),)))


def three_nodes() -> tuple[Service, ...]:
    """A cluster of three nodes in memory, what joins them, and what sets them up."""
    names = (NAME, f"{NAME}-2", f"{NAME}-3")
    nodes = tuple(_node(name, start(name, names), 1024, ready=LISTENS) for name in names)
    started = tuple(After(name, "started") for name in names)
    # cockroach-init; again after a restart it only says that the cluster has been initialized
    init = _once(INIT, ("init", "--insecure", f"--host={NAME}:{PORT}"), started)
    return (*nodes, init, settings((After(INIT, "completed"),)))


def start(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """The arguments of one node of several (cockroach-start)."""
    return (
        "start",
        "--insecure",
        "--store=type=mem,size=0.25",
        f"--listen-addr=:{PORT}",
        f"--advertise-addr={name}:{PORT}",
        f"--join={','.join(f'{other}:{PORT}' for other in names)}",
    )


def settings(after: tuple[After, ...]) -> Service:
    """Make database and user, and set what makes tests quick (cockroach-sql: one `--execute` a statement)."""
    statements = tuple(f"--execute={statement}" for statement in (*SCHEMA, *TEST_SETTINGS))
    return _once(SETTINGS, ("sql", "--insecure", f"--host={NAME}:{PORT}", *statements), after)


def _node(name: str, command: tuple[str, ...], memory: int, ready: str) -> Service:
    ask = f"cockroach sql --insecure --host=localhost:{PORT} --execute='SELECT 1'"
    return Service(
        name=name,
        image="database",
        command=command,
        memory=memory,
        healthcheck=Healthcheck(("sh", "-c", ask), ready, confirm=ready != LISTENS),
        forwarded_ports=(PORT,) if name == NAME else (),
    )


def _once(name: str, command: tuple[str, ...], after: tuple[After, ...]) -> Service:
    return Service(name=name, image="database", command=command, memory=256, after=after, one_shot=True)


# ---- templates: a database is kept as a backup on the node and made anew from it


def backup(database: str, collection: str) -> str:
    """Keep a database (backup; use-cloud-storage-for-bulk-operations: ``nodelocal://1`` is node 1's own disk)."""
    return f"BACKUP DATABASE {database} INTO 'nodelocal://1/{collection}'"


def restore(database: str, collection: str, new_name: str) -> str:
    """Make a new database of the latest backup (restore: new_db_name)."""
    return f"RESTORE DATABASE {database} FROM LATEST IN 'nodelocal://1/{collection}' WITH new_db_name = '{new_name}'"


# ---- TLS and passwords, as in production


def certificates(folder: str, hosts: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Arguments of the commands that make an authority, the nodes' and root's certificates (cockroach-cert)."""
    where = (f"--certs-dir={folder}", f"--ca-key={folder}/ca.key")
    return (
        ("cert", "create-ca", *where),
        ("cert", "create-node", *hosts, *where),
        ("cert", "create-client", "root", *where),
    )


def secure(command: tuple[str, ...], folder: str) -> tuple[str, ...]:
    """A command of `start` or `sql` with certificates instead of ``--insecure``."""
    return tuple(f"--certs-dir={folder}" if word == "--insecure" else word for word in command)


def set_password(password: str) -> str:
    """Airflow's user gets a password (alter-user); quotes in it are doubled (sql-constants)."""
    return f"ALTER USER {USER} WITH PASSWORD '{password.replace(chr(39), 2 * chr(39))}'"
