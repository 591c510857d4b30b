"""CockroachDB itself: one node or three, as its documentation starts them. Nothing here ran on a real one yet.

Each command and statement names its page below https://www.cockroachlabs.com/docs/stable/. Tests hold them against a
`cockroach` that keeps its books only (`airflow-image/tests/cockroach`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.topology import After, Healthcheck, Mount, Service

NAME = "cockroachdb"
PORT = 26257
DATABASE = "airflow"
USER = "airflow"
HARNESS_USER = "itest"
"""On a secure cluster the test driver's user; on an insecure one it is root, as it needs no password there."""

PASSWORD = "${ITEST_DATABASE_PASSWORD}"  # noqa: S105 - a placeholder
"""Of both users on a secure cluster."""

SETTINGS = "cockroachdb-settings"
"""One-shot that makes database and users; what needs the database waits for it."""

INIT = "cockroachdb-init"
BACKUP = "cockroachdb-backup"
LISTENS = r"(CockroachDB node starting|initial startup completed|cockroach init)"
"""A node of a cluster says that it waits for `cockroach init`; a single node, that it has started."""

CERTIFICATES = "/cockroach-certificates"
AUTHORITY = f"{CERTIFICATES}/ca.crt"
CERTIFICATES_MOUNT = Mount("cockroach-certificates", CERTIFICATES, read_only=True)
AUTHORITY_KEY_MOUNT = Mount("cockroach-authority", "/cockroach-authority")
"""The authority's key is on a volume that only the commands that sign with it mount."""

TEMPLATE_FOLDER = "/cockroach-template"
"""What ``nodelocal`` means to a node (cockroach-start: ``--external-io-dir``); no volume, so an image can have it."""

# use-cloud-storage: the host of a nodelocal address is a node's id. Every node of a cluster is made from the template's
# image, so whichever is node 1 has the backup.
BACKUP_ADDRESS = "'nodelocal://1/airflow'"

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

# create-user, alter-user (passwords need a secure cluster), grant
USERS = (f"CREATE USER IF NOT EXISTS {USER}",)
SECURE_USERS = (
    *USERS,
    f"ALTER USER {USER} WITH PASSWORD '{PASSWORD}'",
    f"CREATE USER IF NOT EXISTS {HARNESS_USER}",
    f"ALTER USER {HARNESS_USER} WITH PASSWORD '{PASSWORD}'",
    f"GRANT admin TO {HARNESS_USER}",
)

# create-database, grant
EMPTY = (
    f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
    f"GRANT ALL ON DATABASE {DATABASE} TO {USER}",
    f"GRANT CREATE ON SCHEMA {DATABASE}.public TO {USER}",
)

# restore: who restores a database owns it, and its other grants are gone; grant
RESTORED = (
    f"RESTORE DATABASE {DATABASE} FROM LATEST IN {BACKUP_ADDRESS}",
    f"GRANT ALL ON DATABASE {DATABASE} TO {USER}",
    f"GRANT ALL ON SCHEMA {DATABASE}.public TO {USER}",
    f"GRANT ALL ON ALL TABLES IN SCHEMA {DATABASE}.public TO {USER}",
    f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {DATABASE}.public TO {USER}",
)

# backup; full backups into a collection
BACK_UP = f"BACKUP DATABASE {DATABASE} INTO {BACKUP_ADDRESS}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """How the database runs: so many `nodes` (1 or 3) of one image; `secure` is with TLS and passwords, as production.

    With `restored` the image holds a backup of Airflow's migrated schema, which is restored at the start.
    """

    nodes: int = 1
    secure: bool = False
    image: str = "database"
    restored: bool = False

    def services(self) -> tuple[Service, ...]:
        """The nodes, what has to run before them, and what sets them up."""
        started = self._single() if self.nodes == 1 else self._several()
        return (*(self._certificates() if self.secure else ()), *started)

    def _single(self) -> tuple[Service, ...]:
        # cockroach-start-single-node
        command = ("start-single-node", *self._store, f"--listen-addr=:{PORT}")
        node = self._node(NAME, command, 2048, ready="CockroachDB node starting")
        return (node, self._settings((After(NAME),)))

    def _several(self) -> tuple[Service, ...]:
        names = self.names
        nodes = tuple(self._node(name, self._start(name), 1024, ready=LISTENS) for name in names)
        started = tuple(After(name, "started") for name in names)
        # cockroach-init; again after a restart it only says that the cluster has been initialized
        init = self._once(INIT, ("init", self._security, f"--host={NAME}:{PORT}"), started)
        return (*nodes, init, self._settings((After(INIT, "completed"),)))

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' host names."""
        return (NAME, *(f"{NAME}-{number}" for number in range(2, self.nodes + 1)))

    @property
    def _security(self) -> str:
        return f"--certs-dir={CERTIFICATES}" if self.secure else "--insecure"

    @property
    def _store(self) -> tuple[str, ...]:
        return (self._security, "--store=type=mem,size=0.25", f"--external-io-dir={TEMPLATE_FOLDER}")

    def _start(self, name: str) -> tuple[str, ...]:
        """The arguments of one node of several (cockroach-start)."""
        join = ",".join(f"{other}:{PORT}" for other in self.names)
        return (
            "start",
            *self._store,
            f"--listen-addr=:{PORT}",
            f"--advertise-addr={name}:{PORT}",
            f"--join={join}",
        )

    def _settings(self, after: tuple[After, ...]) -> Service:
        """Make database and users, and set what makes tests quick (cockroach-sql: one `--execute` a statement)."""
        users = SECURE_USERS if self.secure else USERS
        return self.sql(SETTINGS, (*users, *(RESTORED if self.restored else EMPTY), *TEST_SETTINGS), after)

    def sql(self, name: str, statements: Sequence[str], after: tuple[After, ...]) -> Service:
        """A one-shot that runs statements as root."""
        told = tuple(f"--execute={statement}" for statement in statements)
        return self._once(name, ("sql", self._security, f"--host={NAME}:{PORT}", *told), after)

    def _node(self, name: str, command: tuple[str, ...], memory: int, ready: str) -> Service:
        ask = f"cockroach sql {self._security} --host=localhost:{PORT} --execute='SELECT 1'"
        return Service(
            name=name,
            image=self.image,
            command=command,
            memory=memory,
            mounts=(CERTIFICATES_MOUNT,) if self.secure else (),
            healthcheck=Healthcheck(("sh", "-c", ask), ready, confirm=ready != LISTENS),
            forwarded_ports=(PORT,) if name == NAME else (),
            after=(After(SIGNED[-1], "completed"),) if self.secure else (),
        )

    def _once(self, name: str, command: tuple[str, ...], after: tuple[After, ...]) -> Service:
        return Service(
            name=name,
            image=self.image,
            command=command,
            memory=256,
            mounts=(CERTIFICATES_MOUNT,) if self.secure else (),
            after=after,
            one_shot=True,
        )

    def _certificates(self) -> tuple[Service, ...]:
        """Make an authority, then the nodes' certificate and root's, one after the other (cockroach-cert)."""
        where = (f"--certs-dir={CERTIFICATES}", f"--ca-key={AUTHORITY_KEY_MOUNT.target}/ca.key")
        commands = (
            ("cert", "create-ca", *where),
            ("cert", "create-node", *self.names, "localhost", *where),
            ("cert", "create-client", "root", *where),
        )
        earlier = (None, *SIGNED)
        return tuple(
            replace(
                self._once(name, command, (After(before, "completed"),) if before else ()),
                mounts=(replace(CERTIFICATES_MOUNT, read_only=False), AUTHORITY_KEY_MOUNT),
            )
            for name, command, before in zip(SIGNED, commands, earlier, strict=False)
        )


SIGNED = ("cockroachdb-authority", "cockroachdb-node-certificate", "cockroachdb-root-certificate")
"""The one-shots that make the certificates, in their order."""
