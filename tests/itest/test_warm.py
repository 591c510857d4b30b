"""A stack that is kept: found again by what it is made from, handed out pristine, asleep in between."""

import time
from pathlib import Path

import pytest

from harness import engine, records, warm
from harness.environment import Environment
from harness.prepare import Prepared
from harness.runtime.sweep import stacks
from harness.waits import eventually

pytestmark = pytest.mark.slow


def states(env: Environment) -> set[str]:
    return {s.status for name, s in env.runtime.states().items() if not name.endswith("-init")}


def test_it_is_attached_to_reset_and_put_to_sleep(
    kept: Environment, prepared: Prepared, tmp_path: Path
) -> None:
    assert warm.find(prepared) == records.load(kept.stack)
    for _ in range(2):
        with warm.held(prepared, tmp_path) as held:
            assert held is not None
            assert held.environment.stack == kept.stack
            assert held.environment.airflow.call("GET", "/variables/left.behind", missing_ok=True) is None
            with warm.held(prepared, tmp_path) as other:
                assert other is None, "one session at a time"
            held.environment.airflow.set_variable("left.behind", "x")
        record = records.load(kept.stack)
        assert record is not None
        assert (record.condition, record.paused) == ("clean", True)
        assert states(kept) == {"paused"}


def test_one_that_was_left_dirty_is_reset_by_the_next(
    kept: Environment, prepared: Prepared, tmp_path: Path
) -> None:
    kept.airflow.set_variable("left.behind", "x")
    with warm.held(prepared, tmp_path) as held:
        assert held is not None
        assert held.environment.airflow.call("GET", "/variables/left.behind", missing_ok=True) is None


def test_it_is_brought_the_working_trees_content_where_it_has_another(
    kept: Environment, prepared: Prepared, tmp_path: Path
) -> None:
    former = kept.content.push_changes({"dags/rollout_ic_os_to_mainnet_subnets.py": None})
    kept.content.deliver(former)
    record = records.load(kept.stack)
    assert record is not None
    kept.take_pristine()
    record.changed(revision=former, condition="clean")
    with warm.held(prepared, tmp_path) as held:
        assert held is not None
        assert held.record.revision != former
        assert {pod.revision for pod in held.environment.content.pods().values()} == {held.record.revision}
        dags = {dag["dag_id"] for dag in held.environment.airflow.pages("/dags", "dags")}
        assert "rollout_ic_os_to_mainnet_subnets" in dags, "it was parsed before it became pristine"


def test_its_keeper_removes_it_when_it_expires(kept: Environment) -> None:
    record = records.load(kept.stack)
    assert record is not None
    record.changed(expires=time.time())
    eventually(lambda: kept.stack not in stacks(engine.client()), "the keeper to remove it", 90, 1)
    assert records.load(kept.stack) is None
