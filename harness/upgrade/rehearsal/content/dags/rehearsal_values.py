"""XComs of every type that this version can store, read by a later task; and connections and variables."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from airflow.providers.common.compat.sdk import BaseHook, Variable, dag, task

from rehearsal_kit import GOOGLE, SLACK, START, Wait, digest, say

PROPOSER_KEY = "dfinity.ic_admin.mainnet.proposer_key_file"


def values():
    """By name: values, or what makes them where a library is needed."""
    moment = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
    found = {
        "none": None,
        "bool": True,
        "int": 12345678901234567890,
        "float": 0.1,
        "text": "é\n'\"",
        "list": [1, [2, None]],
        "dict": {"a": {"b": [1]}},
        "tuple": (1, ("a", 2)),
        "set": {1, 2},
        "frozenset": frozenset({1}),
        "bytes": b"\x00\xff",
        "datetime": moment,
        "date": date(2026, 2, 3),
        "timedelta": timedelta(days=1, seconds=2, microseconds=3),
        "decimal": Decimal("1.10"),
        "uuid": UUID("12345678-1234-5678-1234-567812345678"),
        "nested": {"when": [moment], "pair": (1, 2)},
    }
    for name, make in {"pendulum": _pendulum, "zone": _zone, "numpy": _numpy, "pandas": _pandas}.items():
        with suppress(ImportError):
            found[name] = make()
    return found


def _pendulum():
    import pendulum

    return pendulum.datetime(2026, 3, 29, 3, tz="Europe/Zurich")


def _zone():
    from zoneinfo import ZoneInfo

    return ZoneInfo("Europe/Zurich")


def _numpy():
    import numpy

    return numpy.int64(7)


def _pandas():
    import pandas

    return pandas.DataFrame({"a": [1, 2]})


def told(value) -> str:
    """A value's type and content; what has an order by chance is sorted."""
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__} {sorted(value)}"
    return f"{type(value).__module__}.{type(value).__qualname__} {value!r}".removeprefix("builtins.")


@dag(dag_id="rehearsal_xcoms", schedule=None, start_date=START)
def xcoms():
    @task
    def push(ti, **context):
        say({"ti": ti})
        refused = {}
        for name, value in values().items():
            try:
                ti.xcom_push(key=f"value_{name}", value=value)
            except Exception as error:
                refused[name] = type(error).__name__
        ti.xcom_push(key="refused", value=refused)

    @task
    def read(ti, **context):
        say({"ti": ti})
        refused = ti.xcom_pull(task_ids="push", key="refused")
        for name in values():
            if name in refused:
                continue
            try:
                seen = told(ti.xcom_pull(task_ids="push", key=f"value_{name}"))
            except Exception as error:
                seen = f"cannot be read: {type(error).__name__}: {error}"
            ti.xcom_push(key=f"read_{name}", value=seen)

    push() >> Wait(task_id="wait") >> read()


@dag(dag_id="rehearsal_secrets", schedule=None, start_date=START)
def secrets():
    @task
    def read(**context):
        say(context)
        google = BaseHook.get_connection(GOOGLE)
        return {
            "slack": digest(BaseHook.get_connection(SLACK).password),
            "google": digest(str(sorted(google.extra_dejson.items()))),
            "variable": digest(Variable.get(PROPOSER_KEY)),
        }

    Wait(task_id="wait") >> read()


xcoms()
secrets()
