"""Run actions that depend on each other, side by side where they don't."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait


class CycleError(ValueError):
    """The dependencies go round in a circle or name something unknown; the message lists what is stuck."""


def longest_first(needs: Mapping[str, set[str]]) -> list[str]:
    """The names, those first that the longest chain of others waits for; equal ones keep their order.

    Names that wait for each other in a circle count as having nobody behind them; `run_graph` refuses them.
    """
    behind: dict[str, list[str]] = {name: [] for name in needs}
    for name, of in needs.items():
        for other in of:
            behind.setdefault(other, []).append(name)
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 0  # what a circle comes back to
            depths[name] = max((depth(other) + 1 for other in behind[name]), default=0)
        return depths[name]

    return sorted(needs, key=lambda name: -depth(name))


def run_graph(needs: Mapping[str, set[str]], action: Callable[[str], None], workers: int) -> None:
    """Run ``action(name)`` for each name once all it needs are done, at most `workers` at a time.

    The first error stops what has not started, waits for what runs, and is raised.
    """
    waiting = {name: set(of) for name, of in needs.items()}
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="graph") as pool:
        try:
            while waiting or running:
                for name in [n for n, of in waiting.items() if not of]:
                    del waiting[name]
                    running[pool.submit(action, name)] = name
                if not running:
                    raise CycleError(f"cannot start {', '.join(sorted(waiting))}: they wait for each other")
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    finished = running.pop(future)
                    future.result()
                    for of in waiting.values():
                        of.discard(finished)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
