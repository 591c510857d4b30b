"""`python -m harness.keeper STACK`: ends a warm stack when it expires. Started by `itest up`, ends with the stack."""

from __future__ import annotations

import sys
import time

from harness import records, warm
from harness.waits import eventually

LOOK_EVERY = 15
"""Seconds. Whoever uses the stack moves its end, and whoever removes it takes its record away."""

LONGEST = 30 * 24 * 3600


def keep(stack: str) -> int:
    """Wait until the stack has expired, then remove it; the process's exit code."""

    def over() -> str:
        record = records.load(stack)
        if record is None:
            return "gone"
        return "expired" if time.time() >= record.expires else ""

    if eventually(over, f"{stack} to expire", LONGEST, LOOK_EVERY) == "expired":
        with records.locked(stack) as free:
            if not free:
                return keep(stack)
            print(f"{stack} has expired; removing it", flush=True)
            warm.down(stack)
    return 0


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1]))
