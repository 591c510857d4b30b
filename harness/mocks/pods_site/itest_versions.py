"""An execution API that knows its newest version only, the one that tasks of the same image speak.

The API server, the triggerer and the DAG processor each build that API, once for every version that any Airflow 3 has
ever spoken. `sitecustomize` asks for this module where ITEST_EXECUTION_API is `newest`; what it changes against
production is in `harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSIONS = "airflow.api_fastapi.execution_api.versions"
ROUTES = "airflow.api_fastapi.execution_api.routes"
ONLY_IN_OLDER_VERSIONS = "_CADWYN_DELETED_ROUTE"
"""How cadwyn marks a route that the newest version does not have; it insists on an older version that has it."""


def serve_newest_only() -> None:
    """Have Airflow's execution API built for its newest version alone, once its modules are imported."""
    after_import(VERSIONS, _keep_newest)
    after_import(ROUTES, _drop_older_routes)


def _keep_newest(module: Any) -> None:
    bundle = module.bundle
    # Version changes belong to one bundle for good; a single version has none.
    module.bundle = type(bundle)(bundle.head_version, type(bundle.versions[0])(bundle.versions[0].value))


def _drop_older_routes(module: Any) -> None:
    routes = module.execution_api_router.routes
    routes[:] = [r for r in routes if ONLY_IN_OLDER_VERSIONS not in (getattr(r, "tags", None) or ())]
