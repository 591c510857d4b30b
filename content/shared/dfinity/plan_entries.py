"""Reads a rollout plan, as YAML or as the rows of a sheet, into entries that are not yet interpreted.

YAML: day -> time -> either a list of subnets, or `{subnets: [...], batch: N, features: {SUBNET: REVISION}}`.
Scalars are taken as written, since YAML 1.1 would read `9:00` as the number 540.
Sheet: the header `Day | Time (UTC) | Subnets | Batch | Features`, then one row for each batch; an empty day is the
day of the row above. The column `Features` may be missing; its cells hold `SUBNET=REVISION, ...`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import yaml

SHEET_HEADER: Final = ("Day", "Time (UTC)", "Subnets", "Batch", "Features")
SHEET_RANGE: Final = "A:E"
_OPTIONAL_COLUMNS: Final = 1


@dataclass(frozen=True)
class PlanEntry:
    """One batch as its author wrote it; `where` says in which place of the plan.

    `features` are revisions of builds with a feature, by the subnets that get them in place of the run's revision.
    """

    where: str
    day: str
    time: str
    subnets: tuple[str, ...]
    batch: str | None
    features: Mapping[str, str] = field(default_factory=dict)


def entries_from_yaml(text: str, faults: list[str]) -> list[PlanEntry]:
    """The entries of a YAML plan in their order; appends what cannot be read to `faults`."""
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        faults.append(f"the plan is not YAML: {' '.join(str(error).split())}")
        return []
    if root is None or (isinstance(root, yaml.MappingNode) and not root.value):
        faults.append("the plan is empty; write at least one day with one batch")
        return []
    entries = []
    for day, times in _pairs(root, "the plan", faults):
        for time, batch in _pairs(times, day, faults):
            entry = _yaml_entry(day, time, batch, faults)
            if entry is not None:
                entries.append(entry)
    return entries


def entries_from_rows(rows: Sequence[Sequence[object]], faults: list[str]) -> list[PlanEntry]:
    """The entries of a sheet's rows, the header included; appends what cannot be read to `faults`."""
    table = [[str(cell).strip() for cell in row] for row in rows]
    if not any(any(row) for row in table[1:]):
        faults.append("the sheet is empty; it needs the header row and at least one batch")
        return []
    header = tuple(table[0][: len(SHEET_HEADER)])
    required = SHEET_HEADER[: len(SHEET_HEADER) - _OPTIONAL_COLUMNS]
    if header not in (SHEET_HEADER, required, (*required, "")):
        faults.append(f"row 1 is not the header {' | '.join(SHEET_HEADER)} but {' | '.join(header)}")
        return []
    entries = []
    day = ""
    for number, row in enumerate(table[1:], start=2):
        if not any(row):
            continue
        cells = [*row, *([""] * len(SHEET_HEADER))]
        day = cells[0] or day
        where = f"row {number}"
        features = _features(_listed(cells[4]), where, faults)
        entries.append(PlanEntry(where, day, cells[1], _listed(cells[2]), cells[3] or None, features))
    return entries


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in cell.split(",")) if name)


def _features(pairs: Sequence[str], where: str, faults: list[str]) -> dict[str, str]:
    features: dict[str, str] = {}
    for pair in pairs:
        name, equals, revision = (part.strip() for part in pair.partition("="))
        if not equals or not name or name in features:
            faults.append(f"{where}: feature {pair!r} is not `SUBNET=REVISION`, once for a subnet")
        features[name] = revision
    return features


def _yaml_entry(day: str, time: str, batch: yaml.Node, faults: list[str]) -> PlanEntry | None:
    where = f"{day} {time} (line {batch.start_mark.line + 1})"
    if isinstance(batch, yaml.SequenceNode):
        return PlanEntry(where, day, time, _names(batch, where, faults), None)
    if not isinstance(batch, yaml.MappingNode):
        faults.append(f"{where}: write a list of subnets, or `subnets:` and `batch:`")
        return None
    fields = dict(_pairs(batch, where, faults))
    unknown = sorted(fields.keys() - {"subnets", "batch", "features"})
    if unknown:
        known = "`subnets`, `batch` and `features`"
        faults.append(f"{where}: unknown keys {', '.join(unknown)}; only {known} are known")
    if "subnets" not in fields:
        faults.append(f"{where}: `subnets` is missing")
        return None
    number = fields.get("batch")
    text = number.value if isinstance(number, yaml.ScalarNode) else str(number and number.value)
    features = _pairs(fields["features"], where, faults) if "features" in fields else ()
    return PlanEntry(
        where,
        day,
        time,
        _names(fields["subnets"], where, faults),
        text if number else None,
        {name: str(revision.value).strip() for name, revision in features},
    )


def _names(node: yaml.Node, where: str, faults: list[str]) -> tuple[str, ...]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(item, yaml.ScalarNode) for item in items):
        faults.append(f"{where}: the subnets are not a list of names")
        return ()
    return tuple(str(item.value).strip() for item in items if str(item.value).strip())


def _pairs(node: yaml.Node, where: str, faults: list[str]) -> Iterator[tuple[str, yaml.Node]]:
    """A mapping's pairs; a key that comes twice is a fault, where a YAML loader would drop the first."""
    if not isinstance(node, yaml.MappingNode):
        faults.append(f"{where}: expected `name: value` pairs (line {node.start_mark.line + 1})")
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value).strip()
        if name in seen:
            faults.append(f"{where}: {name} is there twice (line {key.start_mark.line + 1}); merge the two")
        seen.add(name)
        yield name, value
