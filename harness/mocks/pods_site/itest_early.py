"""What a worker imports for all its tasks, which are forks of it, beyond what Airflow has it import.

`sitecustomize` asks for this module where ITEST_PREIMPORT names modules, separated by commas; what it changes against
production is in `harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import sys
from importlib import import_module

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WORKER = "airflow.providers.celery.executors.celery_executor_utils"
"""Where Airflow has Celery import modules for all tasks, before the worker forks."""
COMMS = "airflow.sdk.execution_time.comms"


def import_early(names: str) -> None:
    """Have a Celery worker import the modules `names` before it forks; one that is not there is left out."""
    modules = [name.strip() for name in names.split(",")]

    def import_all(*_: Any, **__: Any) -> None:
        for module in modules:
            try:
                import_module(module)
            except ImportError:
                continue
        keep_decoder()

    def change(_: Any) -> None:
        from celery.signals import import_modules  # type: ignore[import-not-found]

        import_modules.connect(import_all, weak=False)

    after_import(WORKER, change)


def keep_decoder() -> None:
    """Have Airflow 3's tasks share what reads their supervisor's messages, which each of them would build twice."""
    comms: Any = sys.modules.get(COMMS)
    if not hasattr(comms, "ToTask") or not hasattr(comms, "TypeAdapter"):
        return
    build, messages = comms.TypeAdapter, comms.ToTask
    kept = build(messages)

    def adapter(kind: Any, *arguments: Any, **options: Any) -> Any:
        plain = kind is messages and not arguments and not options
        return kept if plain else build(kind, *arguments, **options)

    comms.TypeAdapter = adapter
