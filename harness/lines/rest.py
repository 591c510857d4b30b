"""The two generations of Airflow's stable REST API, where they differ.

Sources: the stable REST API references of Airflow 2.11 (v1) and 3.3 (v2).
"""

from __future__ import annotations

import ast
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

NOT_REPEATED = frozenset(
    {
        *("timestamp", "level", "event", "error_detail", "logger", "filename", "lineno"),
        *("dag_id", "run_id", "task_id", "map_index", "try_number", "ti_id"),
    }
)
"""Keys of a structured log's event that its line shows in its own way, or that are the same in all lines."""


class LoginError(RuntimeError):
    """The server refused a login; the message has the user and the status."""


@dataclass(frozen=True, slots=True)
class Rest:
    """One generation. Paths and field names that are not here are the same in both."""

    root: str
    """What every path begins with."""
    health: str
    """Path, below the root, of what tells how each component is."""
    log_in: Callable[[httpx.Client, str, str], None]
    """Has the client send what proves that it is this user with this password; raises `LoginError`."""
    read_log: Callable[[Any], str]
    """The text of a log's answer, a line an event."""
    conflict: str | None
    """What a 500 gives as its reason when a transaction failed, and nothing of the request has happened; None where
    nothing tells that from other faults."""
    new_run: Mapping[str, Any] = field(default_factory=dict)
    """What a new run's body has besides id and conf."""
    xcom: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that ask for a value as the task has pushed it."""


# ---- v1


def send_password(http: httpx.Client, user: str, password: str) -> None:
    """The password goes along with each request: v1 begins no session."""
    http.headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def plain_log(answer: Any) -> str:
    """The log of v1: a text, or (from several hosts) Python's own writing of a list of pairs (host, text)."""
    content = str(answer["content"])
    if not content.startswith("[("):
        return content
    return "\n".join(text for _, text in ast.literal_eval(content))


V1 = Rest(
    root="/api/v1",
    health="/health",
    log_in=send_password,
    read_log=plain_log,
    conflict=None,
    xcom={"deserialize": False, "stringify": False},
)


# ---- v2


def obtain_token(http: httpx.Client, user: str, password: str) -> None:
    """Have a token made, which then goes along with each request."""
    answer = http.post("/auth/token", json={"username": user, "password": password})
    if answer.is_error:
        raise LoginError(f"logging in as {user}: {answer.status_code}")
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def structured_log(answer: Any) -> str:
    """The log of v2: a list of events."""
    return "\n".join(map(_log_line, answer["content"]))


def _log_line(entry: Any) -> str:
    """One event of a structured log as text: time, level, message, what else it holds, and the error."""
    if not isinstance(entry, dict):
        return str(entry)
    rest = " ".join(f"{k}={v}" for k, v in entry.items() if k not in NOT_REPEATED and v is not None)
    head = " ".join(str(entry[k]) for k in ("timestamp", "level", "event") if entry.get(k))
    return "\n".join([f"{head} {rest}".rstrip(), *map(_error_line, entry.get("error_detail") or ())])


def _error_line(error: Any) -> str:
    """An exception of a structured log: its type, its text and where it was raised."""
    frames = error.get("frames") or [{}]
    where = f" (at {frames[-1]['filename']}:{frames[-1].get('lineno')})" if frames[-1].get("filename") else ""
    return f"  {error.get('exc_type')}: {error.get('exc_value')}{where}"


V2 = Rest(
    root="/api/v2",
    health="/monitor/health",
    log_in=obtain_token,
    read_log=structured_log,
    conflict="Database error",
    new_run={"logical_date": None},
    xcom={"deserialize": False},
)
