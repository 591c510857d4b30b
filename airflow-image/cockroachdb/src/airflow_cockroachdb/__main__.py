"""``python -m airflow_cockroachdb``: check, without a database, that every fix fits the installed Airflow.

Imports each module that a fix is for, and lists what was applied. Exits with 1 and the reason when a fix
does not fit: the image's build runs it, so that an Airflow that moved on fails there and not in production.
"""

from __future__ import annotations

import importlib
import os


def main() -> None:
    # Never connected to; it makes Airflow believe that its metadata is in CockroachDB.
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "cockroachdb://nobody@localhost:26257/nothing"
    os.environ.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC", None)

    from airflow.version import version

    from airflow_cockroachdb.fixes import ALL

    for fix in ALL:
        needed = fix.is_for(version)
        if needed:
            importlib.import_module(fix.module)
        print(f"{'applied' if needed else 'no need':8} {fix.name:20} {fix.module}")


if __name__ == "__main__":
    main()
