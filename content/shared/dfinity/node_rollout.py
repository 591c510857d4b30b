"""Rollouts to nodes in waves: what tasks hand to each other through XCom, as small JSON objects.

As in `rollout.py`, a field is never removed or given another meaning; one that is added has a default.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from dfinity.allowed_hours import AllowedHours
from dfinity.conditions import NodesHaveNoAlerts, NodesRunVersion
from dfinity.nodes import Node, all_nodes
from dfinity.production import MAX_WAVES, RELEASE_PAGE_URL
from dfinity.proposals import (
    ALL_UNASSIGNED,
    UPGRADE_API_BOUNDARY_NODES,
    UPGRADE_HOSTS,
    UPGRADE_UNASSIGNED_NODES,
    ProposalRequest,
)
from dfinity.step import Step
from dfinity.waves import Amount, cut, spread, starts
from dfinity.web import fetch


@dataclass(frozen=True)
class NodeKind:
    """A kind of nodes and how they are upgraded. `metric` is what they report their version by."""

    noun: str
    system: str
    metric: str
    action: str
    command: str
    includes: Callable[[Node], bool]
    version_of: Callable[[Node], str]
    arguments: Callable[[Sequence[str], str], tuple[str, ...]]


NODE_KINDS: Final[Mapping[str, NodeKind]] = {
    "api_boundary_nodes": NodeKind(
        noun="API boundary nodes",
        system="GuestOS",
        metric="guestos_version",
        action=UPGRADE_API_BOUNDARY_NODES,
        command="propose-to-deploy-guestos-to-some-api-boundary-nodes",
        includes=lambda node: node.is_api_boundary,
        version_of=lambda node: node.guestos_version,
        arguments=lambda node_ids, version: ("--nodes", *node_ids, "--version", version),
    ),
    "unassigned_nodes": NodeKind(
        noun="unassigned nodes",
        system="GuestOS",
        metric="guestos_version",
        action=UPGRADE_UNASSIGNED_NODES,
        command="propose-to-deploy-guestos-to-all-unassigned-nodes",
        includes=lambda node: node.is_unassigned,
        version_of=lambda node: node.guestos_version,
        arguments=lambda _, version: ("--replica-version-id", version),
    ),
    "hosts": NodeKind(
        noun="hosts",
        system="HostOS",
        metric="hostos_version",
        action=UPGRADE_HOSTS,
        command="propose-to-deploy-hostos-to-some-nodes",
        includes=lambda _: True,
        version_of=lambda node: node.hostos_version,
        arguments=lambda node_ids, version: ("--hostos-version-id", version, *node_ids),
    ),
}


@dataclass(frozen=True)
class WaveStep(Step):
    """All that the tasks of one wave need to know; `started_at` is ISO 8601 in UTC.

    `kind` is a key of NODE_KINDS. So many of the nodes as `tolerance` says may stay behind, or in alert.
    """

    kind: str
    version: str
    wave: int
    node_ids: tuple[str, ...]
    tolerance: int
    simulate: bool
    sensor_interval: int
    started_at: str = ""

    @property
    def target(self) -> str:
        return f"wave {self.wave}"

    @property
    def label(self) -> str:
        return f"{len(self.node_ids)} {NODE_KINDS[self.kind].noun}"

    @property
    def part(self) -> str:
        return f"Wave {self.wave}"

    @property
    def change(self) -> str:
        return f"*{self.label}* to {NODE_KINDS[self.kind].system} `{self.version}`"

    def request(self) -> ProposalRequest:
        kind = NODE_KINDS[self.kind]
        release = f"{RELEASE_PAGE_URL}/{self.version}"
        # The NNS upgrades all unassigned nodes or none, whichever were listed when the rollout was planned.
        whole = kind.action == UPGRADE_UNASSIGNED_NODES
        what = f"all {kind.noun}" if whole else self.label
        listed = "" if whole else "".join(f"\n* {node_id}" for node_id in self.node_ids)
        return ProposalRequest(
            action=kind.action,
            command=kind.command,
            arguments=kind.arguments(self.node_ids, self.version),
            title=f"Upgrade {what} to {kind.system} {self.version[:10]}",
            summary=f"Upgrade {what} to {kind.system} version [{self.version}]({release}).{listed}",
            targets=ALL_UNASSIGNED if whole else frozenset(self.node_ids),
            version=self.version,
        )

    def is_needless(self) -> bool:
        kind = NODE_KINDS[self.kind]
        versions = {node.node_id: kind.version_of(node) for node in fetch(all_nodes())}
        # A node that has left the registry since it was planned needs nothing.
        return all(versions.get(node_id, self.version) == self.version for node_id in self.node_ids)

    def runs_version(self) -> NodesRunVersion:
        metric = NODE_KINDS[self.kind].metric
        return NodesRunVersion(metric, self.version, self.node_ids, self.tolerance)

    def has_no_alerts(self) -> NodesHaveNoAlerts:
        return NodesHaveNoAlerts(self.node_ids, self.tolerance)

    def to_payload(self) -> dict[str, Any]:
        return {**asdict(self), "node_ids": list(self.node_ids)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "WaveStep":
        fields = {name: payload[name] for name in cls.__dataclass_fields__ if name in payload}
        return cls(**{**fields, "node_ids": tuple(payload["node_ids"])})


@dataclass(frozen=True)
class WaveRollout:
    """A checked plan of waves. Moments are ISO 8601 in UTC; a wave begins in `hours` only.

    `planned` has the earliest start of each wave, by its number; one may also begin no sooner than
    `interval_hours` after the one before it did.
    """

    kind: str
    version: str
    simulate: bool
    hours: AllowedHours
    interval_hours: int
    waves: Mapping[int, WaveStep]
    planned: Mapping[int, str]

    def start_of(self, wave: int, now: datetime, previous: WaveStep | None) -> datetime:
        """When a wave may begin, seen from `now`, once the one before it is over."""
        earliest = max(now, datetime.fromisoformat(self.planned[wave]))
        if previous is not None and previous.started_at:
            began = datetime.fromisoformat(previous.started_at)
            earliest = max(earliest, began + timedelta(hours=self.interval_hours))
        return self.hours.next(earliest)

    def to_payload(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "version": self.version,
            "simulate": self.simulate,
            "hours": self.hours.to_payload(),
            "interval_hours": self.interval_hours,
            "waves": {str(number): step.to_payload() for number, step in self.waves.items()},
            "planned": {str(number): moment for number, moment in self.planned.items()},
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "WaveRollout":
        return cls(
            kind=payload["kind"],
            version=payload["version"],
            simulate=payload["simulate"],
            hours=AllowedHours.from_payload(payload["hours"]),
            interval_hours=payload["interval_hours"],
            waves={int(n): WaveStep.from_payload(step) for n, step in payload["waves"].items()},
            planned={int(n): moment for n, moment in payload["planned"].items()},
        )


@dataclass(frozen=True)
class WaveWishes:
    """How somebody wants the nodes of a kind to be upgraded."""

    kind: str
    version: str
    sizes: Sequence[Amount]
    tolerance: Amount
    hours: AllowedHours
    interval_hours: int
    not_before: datetime
    simulate: bool
    sensor_interval: int


def plan_waves(
    wishes: WaveWishes, nodes: Sequence[Node], chosen: Sequence[str], faults: list[str]
) -> WaveRollout:
    """The rollout to the `chosen` nodes (ids or their first groups; all of the kind, if none are given).

    `nodes` are all of the registry. Appends to `faults` what keeps it from being carried out.
    """
    kind = NODE_KINDS[wishes.kind]
    fitting = [node for node in nodes if kind.includes(node)]
    wanted = _chosen(chosen, fitting, kind.noun, faults) if chosen else fitting
    if not wanted and not faults:
        faults.append(f"the registry has no {kind.noun}")
    members = Counter(node.subnet_id for node in nodes)
    groups = cut(spread(wanted), wishes.sizes, members)
    if len(groups) > MAX_WAVES:
        faults.append(
            f"waves: {len(wanted)} nodes would take {len(groups)} waves, more than {MAX_WAVES}: larger sizes"
        )
    moments = starts(len(groups), wishes.not_before, timedelta(hours=wishes.interval_hours), wishes.hours)
    steps = {
        number: WaveStep(
            kind=wishes.kind,
            version=wishes.version,
            wave=number,
            node_ids=tuple(node.node_id for node in group),
            tolerance=wishes.tolerance.of(len(group)),
            simulate=wishes.simulate,
            sensor_interval=wishes.sensor_interval,
        )
        for number, group in enumerate(groups, start=1)
    }
    return WaveRollout(
        kind=wishes.kind,
        version=wishes.version,
        simulate=wishes.simulate,
        hours=wishes.hours,
        interval_hours=wishes.interval_hours,
        waves=steps,
        planned={number: moment.isoformat() for number, moment in enumerate(moments, start=1)},
    )


def _chosen(names: Sequence[str], nodes: Sequence[Node], noun: str, faults: list[str]) -> list[Node]:
    found: dict[str, Node] = {}
    for name in names:
        fitting = [node for node in nodes if name in (node.node_id, node.node_id.split("-", 1)[0])]
        if len(fitting) == 1:
            found[fitting[0].node_id] = fitting[0]
        else:
            what = "none" if not fitting else f"{len(fitting)}; write the full principal"
            faults.append(f"nodes: of {noun} the registry has, by the name {name}, {what}")
    return list(found.values())
