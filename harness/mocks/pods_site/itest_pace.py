"""A quicker triggerer: its runner looks for triggers and hands events over more often than once a second.

Airflow has no setting for that second. `sitecustomize` asks for this module where ITEST_TRIGGERER_PAUSE is set; what
it changes is in `harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

TRIGGERER = "airflow.jobs.triggerer_job_runner"
AIRFLOWS_PAUSE = 1
"""Seconds that the runner waits between two rounds, in Airflow 3.0 to 3.3 (`TriggerRunner.arun`)."""


class AfterImport:
    """A finder of nothing that calls `change` with the module `name` right after its first import."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self._change(module)

        loader.exec_module = execute_and_change
        return spec


class QuickAnyio:
    """The module `anyio` as the triggerer sees it: a wait of Airflow's pause takes `pause` seconds instead."""

    def __init__(self, anyio: Any, pause: float) -> None:
        self._anyio = anyio
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._anyio, name)

    def move_on_after(self, delay: float | None, *arguments: Any, **options: Any) -> Any:
        return self._anyio.move_on_after(
            self._pause if delay == AIRFLOWS_PAUSE else delay, *arguments, **options
        )


def quicken_triggerer(pause: float) -> None:
    """Have the triggerer's runner wait `pause` seconds between rounds, once it is imported."""

    def change(module: Any) -> None:
        module.anyio = QuickAnyio(module.anyio, pause)

    sys.meta_path.insert(0, AfterImport(TRIGGERER, change))
