"""A quicker triggerer: its runner looks for triggers and hands events over more often than once a second.

Airflow has no setting for that second. `sitecustomize` asks for this module where ITEST_TRIGGERER_PAUSE is set; what
it changes is in `harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRIGGERER = "airflow.jobs.triggerer_job_runner"
AIRFLOWS_PAUSE = 1
"""Seconds that the runner waits between two rounds, in Airflow 3.0 to 3.3 (`TriggerRunner.arun`)."""


class QuickAnyio:
    """The module `anyio` as the triggerer sees it: a wait of Airflow's pause takes `pause` seconds instead."""

    def __init__(self, anyio: Any, pause: float) -> None:
        self._anyio = anyio
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._anyio, name)

    def move_on_after(self, delay: float | None, *arguments: Any, **options: Any) -> Any:
        wait = self._pause if delay == AIRFLOWS_PAUSE else delay
        return self._anyio.move_on_after(wait, *arguments, **options)


def quicken_triggerer(pause: float) -> None:
    """Have the triggerer's runner wait `pause` seconds between rounds, once it is imported."""

    def change(module: Any) -> None:
        module.anyio = QuickAnyio(module.anyio, pause)

    after_import(TRIGGERER, change)
