"""What can be stated about side effects, and when it cannot be known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.checks import Expected, Validity, at_least_once, exactly_once, in_order, never, saved
from harness.history import History
from harness.mocks.ledger import Effect

POST = Expected("slack.message", target="ic-os-rollout", task_id="tell")
VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN
BEGAN = datetime(2026, 11, 16, 9, tzinfo=UTC)
NOBODY = {"dag_id": "", "run_id": "", "task_id": "", "try_number": 0}


def ledger(*effects: dict[str, Any]) -> list[Effect]:
    """Effects a second apart, each a post of the task `tell` unless it says otherwise."""
    usual: dict[str, Any] = {
        **{
            "kind": "slack.message",
            "target": "ic-os-rollout",
            "detail": {"text": "hello"},
            "pod": "worker-1",
        },
        **{"dag_id": "rollout", "run_id": "r1", "task_id": "tell", "map_index": -1, "try_number": 1},
    }
    return [
        Effect(**{**usual, "seq": seq, "time": BEGAN + timedelta(seconds=seq), **effect})
        for seq, effect in enumerate(effects, start=1)
    ]


@pytest.mark.parametrize(
    ("effects", "once", "ever", "not_ever"),
    [
        ([], INVALID, INVALID, VALID),
        ([{}], VALID, VALID, INVALID),
        ([{}, {"try_number": 2}], INVALID, VALID, INVALID),
        ([{"task_id": "other"}], INVALID, INVALID, VALID),
        ([{"target": "other"}], INVALID, INVALID, VALID),
        ([{"kind": "slack.update"}], INVALID, INVALID, VALID),
        ([NOBODY], UNKNOWN, UNKNOWN, UNKNOWN),
        ([{}, NOBODY], UNKNOWN, VALID, INVALID),
        ([{}, {}, NOBODY], INVALID, VALID, INVALID),
        ([{}, {**NOBODY, "target": "other"}], VALID, VALID, INVALID),
    ],
)
def test_how_often_something_happened(
    effects: list[dict[str, Any]], once: Validity, ever: Validity, not_ever: Validity
) -> None:
    found = ledger(*effects)
    verdicts = [check(found, POST).validity for check in (exactly_once, at_least_once, never)]
    assert verdicts == [once, ever, not_ever]


def test_a_duplicate_is_told_with_its_tries() -> None:
    verdict = exactly_once(ledger({}, {"try_number": 2, "pod": "worker-2"}), POST)
    assert not verdict
    assert "2 times instead of once" in verdict.reason
    assert "tell, try 1, run r1, pod worker-1" in verdict.reason
    assert "tell, try 2, run r1, pod worker-2" in verdict.reason


def test_one_of_a_mapped_tasks_instances_is_meant_by_its_index() -> None:
    found = ledger({"map_index": 0}, {"map_index": 1})
    assert exactly_once(found, Expected("slack.message", map_index=1))
    assert not exactly_once(found, Expected("slack.message"))
    unindexed = ledger({"map_index": 0}, {"map_index": -1})
    assert exactly_once(unindexed, Expected("slack.message", map_index=1)).validity is UNKNOWN


def test_a_detail_is_meant_by_a_part_of_its_text() -> None:
    found = ledger({"detail": {"text": "hello world"}}, {"detail": {"text": "bye"}})
    assert exactly_once(found, Expected("slack.message", detail=(("text", "world"),)))
    assert never(found, Expected("slack.message", detail=(("subject", "world"),)))


PROPOSE = Expected("ic.proposal")


@pytest.mark.parametrize(
    ("effects", "validity", "reason"),
    [
        ([{"kind": "ic.proposal"}, {}], VALID, "in order"),
        ([{"kind": "ic.proposal"}, {"kind": "ic.proposal"}, {}, {}], VALID, "in order"),
        ([{}, {"kind": "ic.proposal"}], INVALID, "not in order: #1 slack.message"),
        ([{"kind": "ic.proposal"}, {}, {"kind": "ic.proposal"}], INVALID, "not in order"),
        ([{"kind": "ic.proposal"}], INVALID, "never happened: kind=slack.message"),
        ([{"kind": "ic.proposal"}, NOBODY], UNKNOWN, "nobody knows"),
    ],
)
def test_what_comes_before_what(effects: list[dict[str, Any]], validity: Validity, reason: str) -> None:
    verdict = in_order(ledger(*effects), PROPOSE, POST)
    assert (verdict.validity, reason in verdict.reason) == (validity, True), verdict.reason


def test_a_saved_history_can_be_checked_without_its_stack(tmp_path: Path) -> None:
    kept = History(tmp_path / "history.jsonl")
    kept.record("start", stack="gone")
    identity = {"dag_id": "d", "run_id": "r", "task_id": "tell", "map_index": -1, "try_number": 1}
    effect = {"kind": "slack.message", "target": "ic-os-rollout", "detail": {"text": "hello"}}
    kept.record("request", seq=7, time=BEGAN.isoformat(), pod="worker-1", effects=[effect], **identity)
    kept.record("request", seq=8, time=BEGAN.isoformat(), pod="worker-1", effects=[], **identity)
    kept.close()
    assert exactly_once(saved(kept.path), POST)
