"""``airflow db shell`` through psql, which speaks CockroachDB's protocol."""

from __future__ import annotations

import functools
import os
from types import ModuleType
from typing import Any

from airflow_cockroachdb.fix import DIALECT, Fix, function, member

DEFAULT_PORT = 26257


def psql_environment(url: Any) -> dict[str, str]:
    """The environment that makes psql connect to an SQLAlchemy URL; its password stays out of the arguments."""
    environment = os.environ | {
        "PGHOST": url.host or "",
        "PGPORT": str(url.port or DEFAULT_PORT),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.database or "",
    }
    for parameter in ("sslmode", "sslrootcert", "sslcert", "sslkey", "options"):
        if parameter in url.query:
            environment["PG" + parameter.upper()] = str(url.query[parameter])
    return environment


def _shell(module: ModuleType) -> None:
    original = function(module, "shell", "args")
    run = member(module, "execute_interactive")
    settings = member(module, "settings")

    @functools.wraps(original)
    def shell(args: Any) -> None:
        engine = settings.engine
        if engine is None or engine.dialect.name != DIALECT:
            original(args)
            return
        print(f"DB: {engine.url!r}")
        run(["psql"], env=psql_environment(engine.url))

    module.__dict__["shell"] = shell


FIXES = (
    Fix(
        "db-shell",
        "airflow.cli.commands.db_command",
        ">=2.11,<3.4",
        "airflow db shell: unknown driver",
        _shell,
    ),
)
