"""Decides whether the fixes are wanted, and whether anybody has checked them for this Airflow."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet

from airflow_cockroachdb.fix import DIALECT, UnsupportedAirflow, install
from airflow_cockroachdb.fixes import ALL

# The releases whose every use of the dialect's name was read, and which ran.
REVIEWED = (SpecifierSet(">=2.11.2,<2.12"), SpecifierSet(">=3.2.2,<3.3"), SpecifierSet(">=3.3.2,<3.4"))


def install_if_needed(sql_alchemy_conn: str | None, airflow_version: str) -> bool:
    """Install the fixes if the metadata database is CockroachDB.

    :return: whether it is
    :raises UnsupportedAirflow: if it is, under an Airflow this package was never checked against, or one
        that lacks what a fix changes
    """
    if not (sql_alchemy_conn or "").startswith(DIALECT):
        return False
    if not any(airflow_version in releases for releases in REVIEWED):
        raise UnsupportedAirflow(
            f"airflow-cockroachdb knows Airflow {' or '.join(map(str, REVIEWED))}, not {airflow_version}. "
            "Read every use of the dialect's name in that version, then extend REVIEWED."
        )
    install(ALL, airflow_version)
    return True
