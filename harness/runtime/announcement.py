"""Wait for a line of a container's log: an event of the engine's, with no process started and nothing polled."""

from __future__ import annotations

import re
import threading

from docker.models.containers import Container

from harness.waits import Deadline


def announced(container: Container, pattern: str, deadline: Deadline) -> bool:
    """Whether a line that `pattern` (a regular expression) is found in appears in the container's log in time.

    Lines logged before the call count. False when the container ends first, or at the deadline.
    """
    wanted = re.compile(pattern)
    stream = container.logs(stream=True, follow=True)
    alarm = threading.Timer(deadline.left, stream.close)
    alarm.daemon = True
    alarm.start()
    line = b""
    try:
        for chunk in stream:
            *complete, line = (line + chunk).split(b"\n")
            if any(wanted.search(text.decode(errors="replace")) for text in complete):
                return True
        return False
    except (OSError, ValueError):
        return False  # closed by the alarm
    finally:
        alarm.cancel()
        stream.close()
        # That ends the connection, but leaves the response's file on it open (docker-py 7).
        stream._response.close()  # type: ignore[attr-defined]
