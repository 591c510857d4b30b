"""What changes with time by itself: worked out from the clock at each look, and announced as the next due moment."""

import pytest

from harness.mocks.fakes import World
from harness.mocks.ic_models import Alert, Outcome, Refused, Subnet
from harness.mocks.ic_state import InternetComputer
from harness.mocks.readers import MocksControl
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.models import Message
from harness.mocks.slack.workspace import Workspace

from .conftest import OLD_VERSION, VERSION
from .test_mock_ic import Clock, call

TENANT = "tn00000001"


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.seconds = 1_700_000_000.0
    return clock


@pytest.fixture
def ic(clock: Clock) -> InternetComputer:
    computer = InternetComputer(clock)
    computer.set_registry([Subnet("s1", 2, "application", OLD_VERSION)])
    computer.set_life_cycle({"acceptance_delay": 5, "execution_delay": 3, "upgrade_delay": 10})
    return computer


@pytest.fixture
def slack(clock: Clock) -> Workspace:
    return Workspace(clock)


def seen(ic: InternetComputer, clock: Clock) -> list[tuple[float, str, str, int]]:
    """(seconds, status, registry's version, replicas at the new one) at every moment that is due."""
    began, found = clock.seconds, []
    while True:
        moved = sum(count for _, version, count in ic.replicas() if version == VERSION)
        status, version = ic.proposals()[0]["status"], ic.subnets()[0]["replica_version_id"]
        found.append((clock.seconds - began, status, "new" if version == VERSION else "old", moved))
        due = ic.next_due()
        if due is None:
            return found
        assert due > clock.seconds
        clock.seconds = due


def test_a_proposal_is_adopted_then_executed_then_the_replicas_move_one_by_one(
    ic: InternetComputer, clock: Clock
) -> None:
    ic.admin_call(call(), pod="")
    assert seen(ic, clock) == [
        (0, "OPEN", "old", 0),
        (5, "ADOPTED", "old", 0),
        (8, "EXECUTED", "new", 0),
        (13, "EXECUTED", "new", 1),
        (18, "EXECUTED", "new", 2),
    ]


@pytest.mark.parametrize(
    ("outcome", "states"),
    [(Outcome.FAILED, ["OPEN", "ADOPTED", "FAILED"]), (Outcome.REJECTED, ["OPEN", "REJECTED"])],
)
def test_a_proposal_that_fails_or_is_rejected_moves_nothing(
    ic: InternetComputer, clock: Clock, outcome: Outcome, states: list[str]
) -> None:
    ic.set_life_cycle({"outcome": outcome})
    ic.admin_call(call(), pod="")
    steps = seen(ic, clock)
    assert [status for _, status, _, _ in steps] == states
    assert {(version, moved) for _, _, version, moved in steps} == {("old", 0)}
    shown = ic.proposals()[0]
    assert shown["executed_timestamp_seconds"] == 0
    assert bool(shown["failed_timestamp_seconds"]) is (outcome is Outcome.FAILED)


def test_a_jump_of_the_clock_over_everything_ends_where_single_steps_do(
    ic: InternetComputer, clock: Clock
) -> None:
    ic.admin_call(call(), pod="")
    clock.seconds += 14 * 86400
    assert ic.proposals()[0]["status"] == "EXECUTED"
    assert ic.replicas() == [("s1", VERSION, 2)]
    assert ic.next_due() is None


def test_alerts_are_raised_beside_others_end_by_themselves_and_are_cleared(
    ic: InternetComputer, clock: Clock
) -> None:
    ic.raise_alert("s1", Alert("slow", ends_at=clock.seconds + 60))
    ic.raise_alert("s1", Alert("broken"))
    assert [alert.alertname for _, alert in ic.alerts()] == ["slow", "broken"]
    assert ic.next_due() == clock.seconds + 60
    clock.seconds += 60
    assert [alert.alertname for _, alert in ic.alerts()] == ["broken"]
    ic.clear_alert("s1", "broken")
    assert ic.alerts() == []
    with pytest.raises(Refused, match="'broken'"):
        ic.clear_alert("s1", "broken")
    with pytest.raises(Refused, match="s2"):
        ic.raise_alert("s2", Alert("slow"))


def draft(slack: Workspace, text: str) -> Message:
    content = {"text": text, "blocks": [], "attachments": []}
    return slack.draft(slack.channel("ic-os-rollout"), content, None, "worker-1")


def test_a_scheduled_message_appears_when_it_is_due_at_the_time_it_was_due(
    slack: Workspace, clock: Clock
) -> None:
    now = int(clock.seconds)
    for offset in (20, 10, 10):
        slack.schedule(draft(slack, f"in {offset}"), now + offset)
    assert (slack.next_due(), slack.messages(), slack.posted()) == (now + 10, [], 0)
    clock.seconds += 5
    slack.post(draft(slack, "in between"))
    clock.seconds += 10
    assert [message.text for message in slack.messages()] == ["in between", "in 10", "in 10"]
    assert slack.next_due() == now + 20
    clock.seconds += 1000
    slack.post(draft(slack, "last"))
    texts = [message.text for message in slack.messages()]
    assert texts == ["in between", "in 10", "in 10", "in 20", "last"]
    assert len({message.ts for message in slack.messages()}) == slack.posted() == 5
    assert slack.next_due() is None


def test_a_message_that_is_due_cannot_be_taken_back(slack: Workspace, clock: Clock) -> None:
    scheduled = slack.schedule(draft(slack, "soon"), int(clock.seconds) + 10)
    clock.seconds += 10
    with pytest.raises(SlackError, match="invalid_scheduled_message_id"):
        slack.unschedule(slack.channel("ic-os-rollout"), scheduled.id)
    assert slack.changes() == ["1 Slack messages"]


def test_what_a_reset_takes_back_is_not_due(slack: Workspace, clock: Clock) -> None:
    slack.schedule(draft(slack, "soon"), int(clock.seconds) + 10)
    assert slack.changes() == ["1 scheduled Slack messages"]
    slack.reset()
    clock.seconds += 10
    assert (slack.next_due(), slack.messages(), slack.changes()) == (None, [], [])


def test_the_next_due_moment_is_the_earliest_of_all_tenants(mocks: MocksControl) -> None:
    assert mocks.next_due() is None
    subnet = {"subnet_id": "s", "replica_count": 1, "subnet_type": "x", "replica_version_id": OLD_VERSION}
    ends = []
    for handle, lasts in ((mocks, 7200), (mocks.for_tenant(TENANT), 3600)):
        handle.ic.set_registry([subnet])
        handle.ic.raise_alert("s", "slow", lasts=lasts)
        ends.append(handle.next_due())
    assert mocks.next_due() == ends[1]
    assert ends[1] is not None
    assert ends[0] is not None
    assert ends[1] < ends[0]
    mocks.for_tenant(TENANT).reset()
    assert mocks.next_due() == ends[0]


def test_a_world_is_as_due_as_the_first_of_its_fakes(clock: Clock) -> None:
    world = World("token", lambda _: None, {})
    assert world.next_due() is None
    world.ic.set_registry([Subnet("s1", 1, "application", OLD_VERSION)])
    world.ic.raise_alert("s1", Alert("slow", ends_at=world.ic.now() + 100))
    first = world.next_due()
    world.slack.schedule(draft(world.slack, "soon"), int(world.ic.now()) + 50)
    assert first is not None
    assert (world.next_due() or 0) < first
