import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from syncer_kit import PATIENCE, Origin, Setup, eventually

from content_syncer.errors import GitError
from content_syncer.files import Volume
from content_syncer.sync import Syncer

FOLDERS = {
    "plugins/operators": "content/plugins/operators",
    "plugins/lib": "content/shared/lib",
    "dags": "content/dags",
}


def push(origin: Origin, number: int) -> None:
    """Push a revision whose files carry its number; one file in each folder is new, and the last one's is gone."""
    for folder in FOLDERS.values():
        for old in (origin.path / folder).glob("only_*"):
            old.unlink()
    origin.commit(
        {
            f"{folder}/{name}": str(number)
            for folder in FOLDERS.values()
            for name in ("stable.py", "big.py", f"only_{number}.py")
        }
    )


def check_served(target: Path, last: int, new: int) -> None:
    """Fail unless each slot is `last` or `new` as a whole, and the DAGs find their modules."""
    served: dict[str, int] = {}
    for slot in FOLDERS:
        files = {path.name: path.read_text() for path in (target / slot).iterdir()}
        number = int(files["stable.py"])
        assert number in (last, new)
        assert files["big.py"] == files[f"only_{number}.py"] == str(number), f"{slot} is mixed: {files}"
        assert slot != "dags" or len(files) == 3, f"the DAGs hold files of another revision: {files}"
        served[slot] = number
    for slot in FOLDERS:
        assert served[slot] >= served["dags"], f"new DAGs are served before the new {slot}"
        assert (target / slot / f"only_{served['dags']}.py").exists(), (
            f"the DAGs' modules are gone from {slot}"
        )


def exact(target: Path, number: int) -> bool:
    """Tell whether each slot is that revision, with nothing left of another."""
    names = {"stable.py", "big.py", f"only_{number}.py"}
    return all({path.name for path in (target / slot).iterdir()} == names for slot in FOLDERS)


def sync_and_die(syncer: Syncer, line: int) -> int:
    """Sync in a child process that kills itself at the given line of Python that it runs.

    Returns the child's wait status; 0 where it ended before that line.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = line

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        left -= event == "line"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    try:
        sys.settrace(count)
        syncer.sync()
        sys.settrace(None)
    finally:
        os._exit(0)


@pytest.mark.parametrize("renewing", [False, True], ids=["restarted", "renewing"])
@pytest.mark.parametrize(
    "rounds", [pytest.param(25, id="some"), pytest.param(300, id="many", marks=pytest.mark.slow)]
)
def test_a_kill_at_any_moment_leaves_a_good_tree_and_the_next_sync_repairs_the_rest(
    setup: Setup, origin: Origin, rounds: int, renewing: bool
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # shown by pytest when the test fails
    chance = random.Random(seed)  # noqa: S311
    origin.git("rm", "-r", "--quiet", "content")
    push(origin, 0)
    # One that lives long: its killed copies leave half-renewed trees and git's locks in its own repository.
    living = setup.syncer(retention="0.000001") if renewing else None
    (living or setup.syncer()).sync()
    longest, killed = 4000, 0
    for number in range(1, rounds + 1):
        push(origin, number)
        line = chance.randrange(1, longest)
        status = sync_and_die(living or setup.syncer(), line)
        if status:
            assert os.WTERMSIG(status) == signal.SIGKILL
            killed += 1
        else:
            longest = max(line, 100)
        check_served(setup.target, number - 1, number)
        (living or setup.syncer()).sync()
        assert exact(setup.target, number)
        check_served(setup.target, number, number)
        assert not list((setup.target / ".syncer/staging").iterdir())
    assert killed > rounds / 4


def test_a_kill_of_the_real_process_is_repaired(setup: Setup, origin: Origin) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # shown by pytest when the test fails
    chance = random.Random(seed)  # noqa: S311
    origin.git("rm", "-r", "--quiet", "content")
    push(origin, 0)
    setup.syncer().sync()
    for number in range(1, 5):
        push(origin, number)
        with setup.command("once") as process:
            try:
                process.wait(timeout=chance.uniform(0.05, 0.5))
            except subprocess.TimeoutExpired:
                process.kill()
        check_served(setup.target, number - 1, number)
        code, _, errors = setup.run("once")
        assert code == 0, errors
        assert exact(setup.target, number)


def locks(repository: Path) -> list[Path]:
    names = ("shallow", "index", "config", "HEAD", "FETCH_HEAD", "ORIG_HEAD", "packed-refs", "commit-graph")
    inner = (
        "refs/content-syncer/head.lock",
        "objects/maintenance.lock",
        "objects/info/commit-graphs/x.lock",
        "gc.pid",
    )
    return [repository / f"{name}.lock" for name in names] + [repository / name for name in inner]


def test_locks_that_a_killed_fetch_left_do_not_stop_the_next_one(
    setup: Setup, origin: Origin, tmp_path: Path
) -> None:
    syncer = setup.syncer()
    syncer.sync()
    (repository,) = (tmp_path / "cache").glob("repository-*")
    for lock in locks(repository):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    assert setup.content()["dags/rollout.py"] == "dag 2\n"


def test_what_a_dead_syncer_fetched_is_swept_and_what_a_living_one_did_is_not(
    setup: Setup, origin: Origin, tmp_path: Path
) -> None:
    living = setup.syncer()
    living.sync()
    (kept,) = (tmp_path / "cache").glob("repository-*")
    dead = tmp_path / "cache/repository-dead"
    (dead / "objects").mkdir(parents=True)
    for lock in locks(dead):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    (tmp_path / "cache/repository-half").mkdir()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    other = setup.syncer()
    other.sync()
    left = set((tmp_path / "cache").glob("repository-*"))
    assert kept in left
    assert len(left) == 2
    other.close()
    assert set((tmp_path / "cache").glob("repository-*")) == {kept}


@pytest.mark.parametrize("damage", ["objects", "HEAD", "empty"])
def test_a_damaged_repository_is_fetched_anew_in_the_same_sync(
    setup: Setup, origin: Origin, tmp_path: Path, damage: str
) -> None:
    syncer = setup.syncer()
    syncer.sync()
    (repository,) = (tmp_path / "cache").glob("repository-*")
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    if damage == "HEAD":
        (repository / "HEAD").unlink()
    else:
        for path in (repository / "objects").rglob("*"):
            if path.is_file():
                path.chmod(0o644)
                path.write_bytes(b"" if damage == "empty" else b"garbage")
    syncer.sync()
    assert setup.content()["dags/rollout.py"] == "dag 2\n"


@pytest.mark.parametrize("name", ["published.json", "publishing.json", "status.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": [{}], "published": 1}'])
def test_a_damaged_state_file_costs_a_fetch_and_nothing_else(
    setup: Setup, origin: Origin, name: str, text: str
) -> None:
    setup.syncer().sync()
    before = setup.content()
    (setup.target / ".syncer" / name).write_text(text)
    syncer = setup.syncer()
    syncer.sync()
    assert setup.content() == before
    published = syncer.publisher.published()
    assert published
    assert published.revision == origin.git("rev-parse", "HEAD")


@pytest.mark.parametrize("slot", ["dags", "plugins/lib"])
@pytest.mark.parametrize("damage", ["no link", "dangling", "elsewhere"])
def test_a_damaged_link_is_repaired_though_the_branch_has_not_moved(
    setup: Setup, tmp_path: Path, slot: str, damage: str
) -> None:
    setup.syncer().sync()
    before = setup.content()
    link = setup.target / slot
    if damage == "dangling":
        link.resolve().rename(tmp_path / "gone")
    else:
        link.unlink()
        if damage == "elsewhere":
            link.symlink_to(tmp_path)
    setup.syncer().sync()
    assert setup.content() == before


def test_a_damaged_file_is_not_handed_on_to_the_next_revision(setup: Setup, origin: Origin) -> None:
    setup.syncer().sync()
    damaged = setup.target / "dags/other.py"
    damaged.chmod(0o644)
    damaged.write_text("overwritten by a task\n")
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    setup.syncer().sync()
    assert damaged.read_text() == "other 1\n"


def test_leftovers_in_staging_are_removed(setup: Setup) -> None:
    setup.syncer().sync()
    half = setup.target / ".syncer/staging/half/deep"
    half.mkdir(parents=True)
    (half / "file").write_text("half")
    (half / "link").symlink_to("/")
    setup.syncer().sync()
    assert not half.parent.exists()


def test_an_old_checkout_that_cannot_be_removed_is_reported_and_stops_nothing(
    setup: Setup, origin: Origin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.syncer().sync()
    os.utime(old := (setup.target / "dags").resolve(), (0, 0))
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer = setup.syncer(retention="0.000001")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("content_syncer.files.remove", refuse)
    for _ in range(2):
        syncer.sync()
        assert "cannot remove what is no longer needed" in capsys.readouterr().err
    assert setup.content()["dags/rollout.py"] == "dag 2\n"
    assert not old.exists()


def test_a_full_disk_is_an_error_that_leaves_the_last_revision(
    setup: Setup, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.syncer().sync()
    before = setup.content()
    origin.commit({"content/dags/rollout.py": "dag 2\n", "content/shared/lib/deep/module.py": None})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for place in ("content_syncer.trees.os.fchmod", "content_syncer.files.os.fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(OSError, match="No space left"):
                setup.syncer().sync()
        assert setup.content() == before
    setup.syncer().sync()
    assert setup.content()["dags/rollout.py"] == "dag 2\n"


def test_an_unusable_cache_is_an_error_that_leaves_the_last_revision(setup: Setup, tmp_path: Path) -> None:
    setup.syncer().sync()
    before = setup.content()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        setup.syncer(cache=str(tmp_path / "file")).sync()
    assert setup.content() == before


def test_git_missing_is_an_error_and_not_a_crash(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitError, match="git cannot be started"):
        setup.syncer().sync()


def waits_for_a_lock(pid: int) -> bool:
    """Tell whether the kernel lists the process as waiting for a file lock."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_two_syncers_of_one_volume_take_turns(setup: Setup) -> None:
    with Volume(setup.target).locked():
        process = setup.command("once")
        eventually(
            lambda: waits_for_a_lock(process.pid) or process.poll() is not None, "the second one waits"
        )
        assert process.poll() is None
        assert not (setup.target / "dags").exists()
    with process:
        assert process.wait(PATIENCE) == 0
    assert setup.content()["dags/rollout.py"] == "dag 1\n"
