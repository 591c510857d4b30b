"""Plans waves: which nodes are changed together, and when each wave may begin.

Pure: neither Airflow nor the network. Three steps: put the nodes in an order in which neighbours are of different
subnets, cut that order into waves, give each wave a start.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dfinity.allowed_hours import AllowedHours
from dfinity.nodes import Node

_AMOUNT: Final = re.compile(r"(\d+)\s*(%?)")


@dataclass(frozen=True)
class Amount:
    """So many, or so many percent of a total."""

    number: int
    is_percentage: bool = False

    def of(self, total: int) -> int:
        """How many that is, rounded down."""
        return total * self.number // 100 if self.is_percentage else self.number


def parse_amount(text: str) -> Amount:
    """From `3` or `10%`; raises ValueError."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or (found[2] and int(found[1]) > 100):
        raise ValueError(f"{text!r} is neither a number nor a percentage such as `10%`")
    return Amount(int(found[1]), bool(found[2]))


def parse_sizes(texts: Sequence[str]) -> list[Amount]:
    """The sizes of waves; raises ValueError, also for a wave of nothing."""
    sizes = [parse_amount(text) for text in texts]
    if not sizes or any(size.number == 0 for size in sizes):
        raise ValueError("a wave has at least one node; write sizes such as `1, 10%, 30%`")
    return sizes


def spread(nodes: Iterable[Node]) -> list[Node]:
    """The nodes in an order of which each stretch holds the same share of every subnet, as far as that goes."""
    groups: dict[str | None, list[Node]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: node.node_id):
        groups[node.subnet_id].append(node)
    placed = [
        ((position + 0.5) / len(group), node.node_id, node)
        for group in groups.values()
        for position, node in enumerate(group)
    ]
    return [node for *_, node in sorted(placed, key=lambda item: item[:2])]


def spare(members: int) -> int:
    """How many nodes of a subnet may be away at once: it makes progress with more than two thirds of them.

    One, where the subnet is too small to spare any: it could never be upgraded else.
    """
    return max(1, (members - 1) // 3)


def cut(
    nodes: Sequence[Node], sizes: Sequence[Amount], members: Counter[str | None]
) -> list[tuple[Node, ...]]:
    """The nodes in waves, in their order, each node once.

    The last size goes on until all are placed. A wave ends early where it would take more of a subnet than the
    subnet can spare; `members` counts the nodes of each subnet, also those that are not in `nodes`. Nodes without
    a subnet know no such limit.
    """
    waves: list[tuple[Node, ...]] = []
    wave: list[Node] = []
    taken: Counter[str | None] = Counter()
    for node in nodes:
        size = max(1, sizes[min(len(waves), len(sizes) - 1)].of(len(nodes)))
        crowded = node.subnet_id is not None and taken[node.subnet_id] >= spare(members[node.subnet_id])
        if wave and (len(wave) >= size or crowded):
            waves.append(tuple(wave))
            wave, taken = [], Counter()
        wave.append(node)
        taken[node.subnet_id] += 1
    return [*waves, tuple(wave)] if wave else waves


def starts(count: int, not_before: datetime, interval: timedelta, hours: AllowedHours) -> list[datetime]:
    """When each of `count` waves may begin at the earliest: in allowed hours, `interval` apart or more."""
    moments: list[datetime] = []
    earliest = not_before
    for _ in range(count):
        moments.append(hours.next(earliest))
        earliest = moments[-1] + interval
    return moments
