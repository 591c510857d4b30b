"""`python -m harness.mocks`: the mocks pod's process. Runs until SIGTERM or SIGINT."""

import os
import signal
import sys
import threading

from harness.mocks.server import Mocks
from harness.mocks.settings import Settings, SettingsError


def main() -> int:
    """Exit 0 after a signal, 64 when the environment is incomplete."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"mocks: {error}", file=sys.stderr)
        return 64
    mocks = Mocks(settings)
    mocks.start()
    print(f"mocks: serving {mocks.ports()}", flush=True)
    stopping.wait()
    mocks.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
