"""A conflict ends a transaction of the triggerer, not the triggerer, and no event of a trigger is lost with it.

The triggerer takes an event from its queue before it records it, in a transaction of its own, and ends with the
first error. Each of these transactions looks anew at what it changes, so it can be done again as a whole, also when
its connection could not repeat it because others had changed what it looked at (``airflow_cockroachdb.replay``).
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sqlalchemy.exc import DBAPIError

from airflow_cockroachdb.fix import Fix, function, member
from airflow_cockroachdb.fixes.isolation import is_conflict

log = logging.getLogger(__name__)

ATTEMPTS = 5

TRANSACTIONS = {
    "assign_unassigned": ("triggerer_id", "capacity", "health_check_threshold"),
    "ids_for_triggerer": ("triggerer_id",),
    "submit_event": ("trigger_id", "event"),
    "submit_failure": ("trigger_id", "exc"),
    "clean_unused": (),
}
"""What the triggerer does each round, by method of ``Trigger``, with its parameters."""


def done_again(original: Callable[..., Any]) -> Callable[..., Any]:
    """`original`, called again after a conflict unless its session is the caller's."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def repeated(*arguments: Any, **keywords: Any) -> Any:
        if "session" in signature.bind(*arguments, **keywords).arguments:
            return original(*arguments, **keywords)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return original(*arguments, **keywords)
            except DBAPIError as error:
                if not is_conflict(error) or attempt == ATTEMPTS:
                    raise
                log.info("%s is done again after a conflict: %s", original.__qualname__, error.orig)
        raise AssertionError("the last attempt returns or raises")

    return repeated


def _transactions(module: ModuleType) -> None:
    trigger = member(module, "Trigger")
    for name, parameters in TRANSACTIONS.items():
        original = function(trigger, name, "cls", *parameters)
        setattr(trigger, name, classmethod(done_again(original)))


FIXES = (
    Fix(
        "triggers",
        "airflow.models.trigger",
        ">=3.2,<3.4",
        "a conflict ends the triggerer, and the event that it was recording is lost",
        _transactions,
    ),
)
