"""The asynchronous connection string, derived from the synchronous one when nobody configured it."""

from __future__ import annotations

import functools
from types import ModuleType

from sqlalchemy.engine import make_url

from airflow_cockroachdb.fix import DIALECT, Fix, FixDoesNotApply, function


def to_asyncpg(sync_uri: str) -> str:
    """The same database through asyncpg, which calls ``sslmode`` ``ssl``.

    :raises ValueError: if the URL has other parameters, which asyncpg may not know
    """
    url = make_url(sync_uri)
    query = dict(url.query)
    ssl = query.pop("sslmode", None)
    if query:
        raise ValueError(
            f"Cannot translate the connection parameters {', '.join(sorted(query))} for asyncpg: "
            "set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC to a cockroachdb+asyncpg:// URL."
        )
    asynchronous = url.set(drivername=f"{DIALECT}+asyncpg", query={"ssl": ssl} if ssl else {})
    return asynchronous.render_as_string(hide_password=False)


def _derive(module: ModuleType) -> None:
    original = function(module, "_get_async_conn_uri_from_sync", "sync_uri")

    @functools.wraps(original)
    def get_async_conn_uri_from_sync(sync_uri: str) -> str:
        return to_asyncpg(sync_uri) if sync_uri.startswith(DIALECT) else str(original(sync_uri))

    settings = vars(module)
    if not {"SQL_ALCHEMY_CONN", "SQL_ALCHEMY_CONN_ASYNC"} <= settings.keys():
        raise FixDoesNotApply("its connection strings are gone")
    settings["_get_async_conn_uri_from_sync"] = get_async_conn_uri_from_sync
    # Airflow has derived it already, for want of a better idea as the synchronous one unchanged.
    if settings["SQL_ALCHEMY_CONN_ASYNC"] == settings["SQL_ALCHEMY_CONN"]:
        settings["SQL_ALCHEMY_CONN_ASYNC"] = to_asyncpg(settings["SQL_ALCHEMY_CONN"])


FIXES = (
    Fix(
        "async-engine",
        "airflow.settings",
        ">=3.2,<3.4",
        "any import of airflow fails: psycopg2 is not async",
        _derive,
    ),
)
