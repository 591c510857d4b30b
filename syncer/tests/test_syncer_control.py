import signal
from functools import partial

import pytest
from syncer_kit import Origin, Setup, eventually, serves, sidecar, status

from content_syncer import control
from content_syncer.errors import ContentError, MissingError


def dag(setup: Setup) -> str:
    return setup.content()["dags/rollout.py"]


def test_a_held_volume_stays_where_it_is_until_it_is_released(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer()
    first = syncer.sync().revision
    control.hold(syncer.volume)
    second = origin.commit({"content/dags/rollout.py": "dag 2\n"})
    outcome = syncer.sync()
    assert (outcome.revision, outcome.held, dag(setup)) == (first, True, "dag 1\n")
    control.release(syncer.volume)
    outcome = syncer.sync()
    assert (outcome.revision, outcome.held, dag(setup)) == (second, False, "dag 2\n")


def test_a_hold_needs_no_origin(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer()
    first = syncer.sync().revision
    control.hold(syncer.volume)
    origin.path.rename(origin.path.parent / "away")
    assert setup.syncer().sync().revision == first


@pytest.mark.parametrize("name", ["v1", "HEAD~1"])
def test_a_volume_can_be_held_at_a_named_revision(setup: Setup, origin: Origin, name: str) -> None:
    origin.git("tag", "--annotate", "--message=v1", "v1")
    old = origin.git("rev-parse", "HEAD")
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer = setup.syncer()
    syncer.sync()
    control.hold(syncer.volume, name if name == "v1" else origin.git("rev-parse", name))
    assert syncer.sync().revision == old
    assert dag(setup) == "dag 1\n"


def test_a_name_that_a_volume_is_held_at_becomes_a_revision_and_stays_that(
    setup: Setup, origin: Origin
) -> None:
    syncer = setup.syncer()
    control.hold(syncer.volume, "main")
    first = syncer.sync().revision
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    assert setup.syncer().sync().revision == first
    assert syncer.volume.hold.read_text().strip() == first


def test_a_hold_before_the_first_sync_publishes_once_and_then_stays(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer()
    control.hold(syncer.volume)
    first = syncer.sync().revision
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    assert syncer.sync().revision == first


def test_a_held_volume_that_was_damaged_goes_back_to_its_revision_and_not_on(
    setup: Setup, origin: Origin
) -> None:
    syncer = setup.syncer()
    first = syncer.sync().revision
    control.hold(syncer.volume)
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    (setup.target / "dags").unlink()
    assert syncer.sync().revision == first
    assert dag(setup) == "dag 1\n"


def test_a_hold_at_a_revision_that_is_not_there_is_an_error_that_changes_nothing(setup: Setup) -> None:
    syncer = setup.syncer()
    syncer.sync()
    control.hold(syncer.volume, "v9")
    with pytest.raises(MissingError, match="no branch or tag 'v9'"):
        syncer.sync()
    assert dag(setup) == "dag 1\n"


@pytest.mark.parametrize("text", [b"a b", b"--upload-pack=x", b"\xff", b"one\ntwo"])
def test_a_hold_file_with_nonsense_in_it_keeps_the_pin(setup: Setup, origin: Origin, text: bytes) -> None:
    syncer = setup.syncer()
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.volume.hold.write_bytes(text)
    with pytest.raises(ContentError, match="must be empty or name a revision"):
        syncer.sync()
    assert dag(setup) == "dag 1\n"


def test_the_commands_hold_and_release_work_on_a_running_sidecar(setup: Setup, origin: Origin) -> None:
    with sidecar(setup, interval="100000"):
        code, _, errors = setup.run("hold")
        assert code == 0, errors
        eventually(lambda: status(setup)["held"] is True, "the status says held")
        revision = origin.commit({"content/dags/rollout.py": "dag 2\n"})
        assert setup.run("sync")[0] == 0
        eventually(lambda: status(setup)["attempts"] >= 3, "a sync was made")
        assert dag(setup) == "dag 1\n"
        assert setup.run("release")[0] == 0
        eventually(partial(serves, setup, revision), "the new revision was published")


def test_a_command_without_a_sidecar_says_that_it_takes_effect_later(setup: Setup) -> None:
    setup.run("once")
    code, _, errors = setup.run("hold")
    assert (code, "takes effect with the next sync" in errors) == (0, True)
    assert setup.run("sync")[0] == 1
    assert setup.run("hold", "a b")[0] == 64


def test_a_signal_goes_to_a_sidecar_only(setup: Setup) -> None:
    syncer = setup.syncer()
    syncer.volume.home.mkdir(parents=True)
    for pid in (1, 2**22 + 1, "x", None):
        syncer.volume.write_json(syncer.volume.status, {"pid": pid})
        assert not control.wake(syncer.volume)


def test_once_obeys_a_hold(setup: Setup, origin: Origin) -> None:
    setup.run("once")
    setup.run("hold")
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    code, _, errors = setup.run("once")
    assert (code, "info held revision=" in errors) == (0, True)
    assert dag(setup) == "dag 1\n"


def test_a_held_sidecar_ends_as_told(setup: Setup) -> None:
    with sidecar(setup) as process:
        setup.run("hold")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
