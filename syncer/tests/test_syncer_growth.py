"""Behaviour of checkouts that are made from older ones: exactness, sharing, and that damage is found."""

import os
import random
from pathlib import Path

import pytest
from syncer_kit import Origin, Setup

from content_syncer.sync import Syncer


def renewing(setup: Setup, **changes: str) -> Syncer:
    """A syncer whose retired checkouts may be renewed at its very next sync."""
    return setup.syncer(retention="0.000001", **changes)


def spares(setup: Setup) -> list[Path]:
    return list((setup.target / ".syncer/spares").iterdir())


def exported(origin: Origin, revision: str) -> dict[str, str]:
    """The DAG files of a revision as git has them."""
    names = origin.git("ls-tree", "-r", "--name-only", f"{revision}:content/dags").splitlines()
    return {name: origin.git("show", f"{revision}:content/dags/{name}") for name in names}


def served(setup: Setup) -> dict[str, str]:
    found = setup.content()
    return {
        name.removeprefix("dags/"): text.strip() for name, text in found.items() if name.startswith("dags/")
    }


def shuffle(origin: Origin, chance: random.Random) -> str:
    """Commit random changes: files that become folders and the reverse, come, go and come back."""
    dags = origin.path / "content/dags"
    for _ in range(chance.randrange(1, 6)):
        parts = [chance.choice("abc") for _ in range(chance.randrange(1, 4))]
        path = dags.joinpath(*parts)
        for parent in reversed(path.relative_to(dags).parents):
            if (dags / parent).is_file():
                (dags / parent).unlink()
        if path.is_dir():
            for child in sorted(path.rglob("*"), reverse=True):
                child.rmdir() if child.is_dir() else child.unlink()
            path.rmdir()
        elif path.is_file() and chance.random() < 0.4:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(chance.randrange(4)))
        path.chmod(chance.choice((0o644, 0o755)))
    return origin.record()


@pytest.mark.parametrize(
    "rounds", [pytest.param(30, id="some"), pytest.param(400, id="many", marks=pytest.mark.slow)]
)
def test_a_renewed_checkout_is_exactly_the_revision_whatever_changed(
    setup: Setup, origin: Origin, rounds: int
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # shown by pytest when the test fails
    chance = random.Random(seed)  # noqa: S311
    syncer = renewing(setup)
    renewed = 0
    for _ in range(rounds):
        revision = shuffle(origin, chance)
        renewed += bool((setup.target / ".syncer/spares").exists() and spares(setup))
        syncer.sync()
        assert served(setup) == exported(origin, revision)
        folders = {str(p.relative_to(setup.target / "dags")) for p in (setup.target / "dags").rglob("*/")}
        assert all(any(name.startswith(f"{folder}/") for name in served(setup)) for folder in folders)
    assert renewed > rounds / 2


def test_only_changed_files_are_written(setup: Setup, origin: Origin) -> None:
    origin.commit({f"content/dags/d{number}.py": f"{number:04}" for number in range(50)})
    syncer = renewing(setup)
    syncer.sync()
    for version in range(1, 5):
        before = syncer.trees.bytes_written
        inodes = {path.name: path.stat().st_ino for path in (setup.target / "dags").iterdir()}
        origin.commit({"content/dags/d7.py": f"version {version}"})
        syncer.sync()
        after = {path.name: path.stat().st_ino for path in (setup.target / "dags").iterdir()}
        assert {name for name in inodes if inodes[name] != after[name]} == {"d7.py"}
        assert syncer.trees.bytes_written - before == len("version 1")


def test_a_file_that_came_back_is_new_though_the_renewed_checkout_had_it(
    setup: Setup, origin: Origin
) -> None:
    syncer = renewing(setup)
    syncer.sync()
    for number in range(6):
        replaced = (setup.target / "dags/rollout.py").stat().st_mtime_ns
        origin.commit({"content/dags/rollout.py": f"dag {number % 2}\n", "content/dags/n.py": str(number)})
        syncer.sync()
        assert (setup.target / "dags/rollout.py").stat().st_mtime_ns > replaced
    assert spares(setup)


def test_a_reader_that_holds_a_file_of_a_retired_checkout_open_reads_what_it_opened(
    setup: Setup, origin: Origin
) -> None:
    syncer = renewing(setup)
    syncer.sync()
    with (setup.target / "dags/rollout.py").open() as opened:
        for number in range(2, 6):
            origin.commit({"content/dags/rollout.py": f"dag {number}\n"})
            syncer.sync()
        assert opened.read() == "dag 1\n"


def test_a_retired_checkout_is_not_renewed_before_its_retention_is_over(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer(retention="3600")
    syncer.sync()
    old = [(setup.target / "dags").resolve()]
    for number in range(2, 5):
        origin.commit({"content/dags/rollout.py": f"dag {number}\n"})
        syncer.sync()
        old.append((setup.target / "dags").resolve())
    assert [(path / "rollout.py").read_text() for path in old] == [f"dag {n}\n" for n in range(1, 5)]


def test_what_somebody_added_to_a_retired_checkout_never_comes_back(setup: Setup, origin: Origin) -> None:
    syncer = renewing(setup)
    syncer.sync()
    for number in range(2, 6):
        (setup.target / "dags/litter.txt").write_text("left by a task")
        origin.commit({"content/dags/rollout.py": f"dag {number}\n"})
        syncer.sync()
        assert "litter.txt" not in served(setup)


def test_bytecode_of_a_removed_folder_does_not_keep_it(setup: Setup, origin: Origin) -> None:
    syncer = renewing(setup)
    # In pairs, as what is renewed is the revision before the last one.
    for number, there in enumerate((True, True, False, False) * 2):
        text = str(number) if there else None
        if there or (origin.path / "content/dags/pkg/m.py").exists():
            origin.commit({"content/dags/pkg/m.py": text})
        origin.commit({"content/dags/n.py": str(number)})
        syncer.sync()
        assert (setup.target / "dags/pkg").exists() == there
        if there:
            (setup.target / "dags/pkg/__pycache__").mkdir(exist_ok=True)
            (setup.target / "dags/pkg/__pycache__/m.pyc").write_text("bytecode")


def test_a_file_that_became_an_allowed_submodule_is_gone(setup: Setup, origin: Origin) -> None:
    commit = origin.git("rev-parse", "HEAD")
    origin.commit({"content/dags/module": "a file\n"})
    syncer = renewing(setup, allow="submodules")
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    origin.git("rm", "--quiet", "content/dags/module")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{commit},content/dags/module")
    origin.git("commit", "--quiet", "--message=submodule")
    assert spares(setup)
    syncer.sync()
    assert set(served(setup)) == {"rollout.py", "other.py"}


def test_spares_of_a_dead_syncer_are_removed(setup: Setup, origin: Origin) -> None:
    syncer = renewing(setup)
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    assert spares(setup)
    setup.syncer().sync()
    assert not spares(setup)


def test_a_spare_that_another_syncer_removed_costs_nothing_but_time(setup: Setup, origin: Origin) -> None:
    syncer = renewing(setup)
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    setup.syncer().sync()
    revision = origin.commit({"content/dags/rollout.py": "dag 3\n"})
    syncer.sync()
    assert served(setup) == exported(origin, revision)


@pytest.mark.parametrize("damage", ["overwritten", "removed", "added", "mode"])
def test_damage_to_served_files_is_found_and_repaired_though_nothing_was_pushed(
    setup: Setup, origin: Origin, damage: str
) -> None:
    syncer = renewing(setup, verify_interval="0.000001")
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    revision = syncer.sync().revision
    victim = setup.target / "dags/other.py"
    if damage == "added":
        (setup.target / "dags/litter.py").write_text("litter")
    elif damage == "removed":
        victim.unlink()
    elif damage == "mode":
        victim.chmod(0o755)
    else:
        victim.chmod(0o644)
        victim.write_text("by a task")
    assert syncer.sync().changed == ("dags",)
    assert served(setup) == exported(origin, revision)
    assert not os.access(victim, os.X_OK)
    assert syncer.sync().changed == ()
    revision = origin.commit({"content/dags/rollout.py": "dag 3\n"})
    syncer.sync()
    assert served(setup) == exported(origin, revision)


def test_the_first_comparison_of_every_byte_waits_for_its_interval(setup: Setup, tmp_path: Path) -> None:
    setup.syncer().sync()
    (setup.target / "dags/other.py").unlink()
    assert setup.syncer(verify_interval="86400", cache=str(tmp_path / "other")).sync().changed == ()
