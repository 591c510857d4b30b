"""Ownership of containers, networks and volumes, written in their labels.

A stack belongs to the process that started it, or is kept (a compose stack, which `itest down` removes). What a
dead process left behind is stale, and only that is ever swept.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RUN = "itest.run"
SERVICE = "itest.service"
OWNER_PID = "itest.owner-pid"
OWNER_START = "itest.owner-start"
OWNER_HOST = "itest.owner-host"
KEPT = "kept"
"""The value of `OWNER_PID` for a stack that outlives the command that started it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its id, its start time (clock ticks since boot, ``/proc/<pid>/stat``) and its host."""

    pid: str
    start: str
    host: str

    @classmethod
    def this_process(cls) -> Owner:
        return cls(str(os.getpid()), _start_of(os.getpid()) or "", this_host())

    @classmethod
    def kept(cls) -> Owner:
        return cls(KEPT, "", this_host())

    @classmethod
    def of(cls, labels: dict[str, str]) -> Owner:
        return cls(labels.get(OWNER_PID, ""), labels.get(OWNER_START, ""), labels.get(OWNER_HOST, ""))

    def is_dead(self) -> bool:
        """Whether this is a process of this host that has ended. Unknown owners count as alive."""
        if self.host != this_host() or not self.pid.isdigit():
            return False
        return _start_of(int(self.pid)) != (self.start or None)

    def labels(self, stack: str, service: str | None = None) -> dict[str, str]:
        """The labels of one object of `stack`."""
        own = {RUN: stack, OWNER_PID: self.pid, OWNER_START: self.start, OWNER_HOST: self.host}
        return {**own, SERVICE: service} if service else own


@cache
def this_host() -> str:
    """The host's name and boot, as process ids mean nothing on another host or after a reboot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        boot = "unknown"
    return f"{socket.gethostname()}/{boot}"


def _start_of(pid: int) -> str | None:
    """The start time of a live process; None when there is none. Where /proc is missing, "" for a live one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return _alive_without_proc(pid)
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def _alive_without_proc(pid: int) -> str | None:
    if Path("/proc/self").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
