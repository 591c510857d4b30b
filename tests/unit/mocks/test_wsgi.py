"""Routers, from which the fakes are made."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.wrappers import Response

from harness.mocks.wsgi import Router


def made() -> Router:
    return Router([("GET", "/a", Response)], lambda _: Response())


@contextmanager
def others_go_on_in_between() -> Iterator[None]:
    """Whenever the collector runs in this thread, and it runs often, it lets other threads go on."""
    mine = threading.get_ident()

    def pause(*_: object) -> None:
        if threading.get_ident() == mine:
            time.sleep(0.001)

    thresholds = gc.get_threshold()
    gc.callbacks.append(pause)
    gc.set_threshold(1, 1_000_000, 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(pause)


def test_threads_can_make_routers_at_the_same_time() -> None:
    over = threading.Event()

    def make() -> None:
        while not over.is_set():
            made()

    other = threading.Thread(target=make)
    other.start()
    try:
        with others_go_on_in_between():
            made()
    finally:
        over.set()
        other.join()
