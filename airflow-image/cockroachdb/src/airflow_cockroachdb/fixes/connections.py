"""How Airflow connects: with transactions that repeat themselves, and SERIAL as a sequence.

CockroachDB's SERIAL is ``unique_rowid()``, whose ids are beyond 2^53: JavaScript, and so Airflow's UI, rounds
them. With ``serial_normalization = 'sql_sequence_cached'`` tables that are created get small ids.
(CockroachDB's documentation: "SERIAL", "Generated values for modes".)
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sqlalchemy.engine import make_url

from airflow_cockroachdb.fix import Fix, function, replace
from airflow_cockroachdb.replay import ReplayingConnection

SMALL_IDS = "-c serial_normalization=sql_sequence_cached"
DRIVERS = frozenset({"cockroachdb", "cockroachdb+psycopg2"})


def connect_arguments(url: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """Arguments for psycopg2 to connect to an SQLAlchemy URL; what the operator has chosen stays."""
    parsed = make_url(url)
    if parsed.drivername not in DRIVERS:
        return chosen
    defaults: dict[str, Any] = {"connection_factory": ReplayingConnection}
    if "options" not in parsed.query:
        defaults["options"] = SMALL_IDS
    return defaults | chosen


def _connect_args(module: ModuleType) -> None:
    original = function(module, "_get_connect_args", "mode")

    @functools.wraps(original)
    def get_connect_args(mode: str) -> Any:
        arguments = original(mode)
        if mode == "sync":
            return connect_arguments(vars(module)["SQL_ALCHEMY_CONN"], arguments)
        return arguments

    replace(module, "_get_connect_args", get_connect_args)


FIXES = (
    Fix(
        "connections",
        "airflow.settings",
        ">=3.2,<3.4",
        "a conflict at COMMIT ends components and fails requests; ids are beyond what the UI can show",
        _connect_args,
    ),
)
