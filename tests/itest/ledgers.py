"""What the scenarios of a session did to the outside world, when: a line each, the same on every repetition.

    python -m tests.itest.ledgers .itest/last

The moments are of the stack's clock, in hours since midnight of the rollout's first Monday, to ten minutes: tasks take
some seconds of it, not always as many. Tasks of a batch run side by side, so lines of the same ten minutes are sorted.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from harness import history
from harness.checks import saved
from harness.mocks.ledger import Effect, Kind

TOLD = (Kind.SLACK_MESSAGE, Kind.SLACK_UPDATE, Kind.SLACK_DELETE, Kind.IC_PROPOSAL)
SAID = ("text", "replica_version_id", "node_ids")
TO = timedelta(minutes=10)


@dataclass(frozen=True)
class Rollout:
    """A run that a scenario has triggered, which is the `number`-th of it; `monday` is its plan's first day."""

    scenario: str
    number: int
    monday: date


def rollouts(events: Iterable[Mapping[str, Any]]) -> dict[str, Rollout]:
    """The runs of a session's history, by their ids."""
    found: dict[str, Rollout] = {}
    scenario, number = "", 0
    for event in events:
        if event["kind"] == "test":
            scenario, number = event["nodeid"].rpartition("::")[2], 0
        elif event["kind"] == "trigger" and "week" in event["conf"]:
            number += 1
            found[event["run_id"]] = Rollout(scenario, number, date.fromisoformat(event["conf"]["week"]))
    return found


def lines(effects: Iterable[Effect], runs: Mapping[str, Rollout]) -> Iterator[str]:
    """What the effects of these runs were, and those of nobody; see above."""
    ledger = [effect for effect in effects if effect.kind in TOLD]
    # Of each scenario its own: the mocks count proposals anew in each.
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, rollout in runs.items():
        names[rollout.scenario][run_id] = f"run {rollout.number}"
    for effect in ledger:
        if effect.kind == Kind.IC_PROPOSAL and effect.run_id in runs:
            made = names[runs[effect.run_id].scenario]
            made[str(effect.detail["proposal_id"])] = effect.target.split("-")[0]
    told = []
    for effect in ledger:
        source = runs.get(effect.run_id)
        if source is None:
            told.append(("nobody knows", 0, 0.0, f"{effect.kind} {effect.target}"))
            continue
        midnight = datetime.combine(source.monday, datetime.min.time(), UTC)
        hours = (effect.time - midnight) // TO * TO / timedelta(hours=1)
        what = " ".join(str(value) for name, value in sorted(effect.detail.items()) if name in SAID)
        plain = f"{effect.kind} {effect.target} {_plain(what, source.monday, names[source.scenario])}"
        told.append((source.scenario, source.number, hours, plain))
    for scenario, number, hours, plain in sorted(told):
        yield f"{scenario} run {number} {hours:+08.2f} {plain!r}"


def _plain(text: str, monday: date, names: Mapping[str, str]) -> str:
    """`text` with days counted from Monday, and what is meant instead of the ids of runs and proposals."""

    def day(found: re.Match[str]) -> str:
        return f"day {(date.fromisoformat(found[0]) - monday).days}"

    dated = re.sub(r"\b\d{4}-\d{2}-\d{2}(?=\b|T)", day, text)
    return re.sub(r"\b(?:itest-)?\d+\b", lambda found: names.get(found[0], found[0]), dated)


def main(folder: Path) -> None:
    runs = rollouts(history.read(folder / "history.jsonl"))
    for path in sorted(folder.glob("private-*/history.jsonl")):
        for line in lines(saved(path), runs):
            print(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
