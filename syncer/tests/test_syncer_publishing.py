import os
import threading
from pathlib import Path

import pytest
from syncer_kit import Origin, Setup

from content_syncer.errors import ContentError
from content_syncer.layout import Tree
from content_syncer.objects import Objects
from content_syncer.publish import Step
from content_syncer.trees import Checkout, TreeStore

PUBLISHED = {
    "plugins/operators/deploy.py": "operator 1\n",
    "plugins/sensors/wait.py": "sensor 1\n",
    "plugins/lib/__init__.py": "lib 1\n",
    "plugins/lib/deep/module.py": "deep 1\n",
    "plugins/tools/__init__.py": "tools 1\n",
    "dags/rollout.py": "dag 1\n",
    "dags/other.py": "other 1\n",
}


def test_a_first_sync_publishes_every_tree_where_airflow_looks(setup: Setup) -> None:
    outcome = setup.syncer().sync()
    assert setup.content() == PUBLISHED
    assert outcome.revision == setup.origin.git("rev-parse", "HEAD")


def test_trees_appear_from_operators_to_dags(setup: Setup) -> None:
    outcome = setup.syncer().sync()
    assert outcome.changed == ("plugins/operators", "plugins/sensors", "plugins/lib", "plugins/tools", "dags")


def test_the_root_of_a_repository_can_be_the_tree(setup: Setup, tmp_path: Path) -> None:
    flat = Origin(tmp_path / "flat")
    flat.commit({"dags/d.py": "d\n", "plugins/operators/o.py": "o\n", "shared/lib/m.py": "m\n", "x/y": "-\n"})
    setup.syncer(source=str(flat.path), subpath=".").sync()
    assert setup.content() == {"dags/d.py": "d\n", "plugins/operators/o.py": "o\n", "plugins/lib/m.py": "m\n"}


def test_a_subpath_that_is_not_there_is_an_error_that_names_the_setting(setup: Setup) -> None:
    with pytest.raises(ContentError, match=r"no folder 'elsewhere' .*SUBPATH"):
        setup.syncer(subpath="elsewhere").sync()
    with pytest.raises(ContentError, match=r"no folder 'README.md'"):
        setup.syncer(subpath="README.md").sync()


def test_a_changed_revision_changes_only_the_trees_it_touches(setup: Setup, origin: Origin) -> None:
    setup.syncer().sync()
    before = {slot: (setup.target / slot).readlink() for slot in ("plugins/operators", "plugins/lib", "dags")}
    origin.commit({"content/plugins/operators/deploy.py": "operator 2\n", "README.md": "changed\n"})
    assert setup.syncer().sync().changed == ("plugins/operators",)
    after = {slot: (setup.target / slot).readlink() for slot in before}
    assert {slot for slot in before if before[slot] != after[slot]} == {"plugins/operators"}
    assert setup.content()["plugins/operators/deploy.py"] == "operator 2\n"


def test_a_file_that_did_not_change_keeps_its_time_and_a_changed_one_gets_a_new_one(
    setup: Setup, origin: Origin
) -> None:
    setup.syncer().sync()
    kept, changed = setup.target / "dags/other.py", setup.target / "dags/rollout.py"
    before = kept.stat(), changed.stat()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    setup.syncer().sync()
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before[0].st_ino, before[0].st_mtime_ns)
    assert changed.stat().st_mtime_ns > before[1].st_mtime_ns


def test_a_dag_file_that_comes_back_is_newer_than_what_it_replaces(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer()
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    replaced = (setup.target / "dags/rollout.py").stat()
    origin.git("revert", "--no-edit", "HEAD")
    syncer.sync()
    assert (setup.target / "dags/rollout.py").read_text() == "dag 1\n"
    assert (setup.target / "dags/rollout.py").stat().st_mtime_ns > replaced.st_mtime_ns


def test_a_changed_file_is_as_old_as_its_publishing_however_long_the_checkout_took(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = TreeStore.build

    def build_slowly(store: TreeStore, tree: Tree, objects: Objects, served: Path | None) -> Checkout:
        checkout = build(store, tree, objects, served)
        for path in checkout.written:
            os.utime(path, (1, 1))
        return checkout

    monkeypatch.setattr(TreeStore, "build", build_slowly)
    setup.syncer().sync()
    times = {(setup.target / name).stat().st_mtime for name in PUBLISHED}
    assert min(times) > 1


def test_what_a_revision_deleted_is_gone(setup: Setup, origin: Origin) -> None:
    setup.syncer().sync()
    gone = (
        "plugins/operators/deploy.py",
        "shared/lib/deep/module.py",
        "shared/tools/__init__.py",
        "dags/other.py",
    )
    origin.commit(dict.fromkeys((f"content/{name}" for name in gone), None))
    setup.syncer().sync()
    assert setup.content() == {
        "plugins/sensors/wait.py": "sensor 1\n",
        "plugins/lib/__init__.py": "lib 1\n",
        "dags/rollout.py": "dag 1\n",
    }
    assert sorted(path.name for path in (setup.target / "plugins").iterdir()) == ["lib", "sensors"]


def test_new_modules_are_there_before_the_dags_and_removed_ones_until_after(
    setup: Setup, origin: Origin
) -> None:
    setup.syncer().sync()
    origin.commit(
        {
            "content/plugins/operators/deploy.py": None,
            "content/plugins/operators/deploy2.py": "operator 2\n",
            "content/shared/tools/__init__.py": None,
            "content/shared/tools2/__init__.py": "tools 2\n",
            "content/dags/rollout.py": "dag 2\n",
        }
    )
    seen: list[tuple[str, dict[str, str]]] = []
    setup.syncer(observe=lambda step: seen.append((step.slot, setup.content()))).sync()
    assert [slot for slot, _ in seen] == [
        "plugins/operators",
        "plugins/tools2",
        "dags",
        "plugins/tools",
        "plugins/operators",
    ]
    for _, content in seen:
        if content["dags/rollout.py"] == "dag 1\n":
            assert {"plugins/operators/deploy.py", "plugins/tools/__init__.py"} <= content.keys()
        else:
            assert {"plugins/operators/deploy2.py", "plugins/tools2/__init__.py"} <= content.keys()
    assert not {"plugins/operators/deploy.py", "plugins/tools/__init__.py"} & seen[-1][1].keys()


def test_pycache_is_neither_published_nor_carried_over(setup: Setup, origin: Origin) -> None:
    origin.commit({"content/dags/__pycache__/rollout.pyc": "stale\n"})
    setup.syncer().sync()
    assert setup.content() == PUBLISHED
    cached = setup.target / "plugins/operators/__pycache__/deploy.pyc"
    cached.parent.mkdir()
    cached.write_text("bytecode\n")
    origin.commit({"content/plugins/operators/deploy.py": None, "content/plugins/operators/new.py": "new\n"})
    seen: list[str] = []
    setup.syncer(observe=lambda _: seen.extend(setup.content())).sync()
    assert "plugins/operators/deploy.py" in seen
    assert "plugins/operators/__pycache__/deploy.pyc" not in seen
    assert not cached.parent.exists()


def test_equal_trees_never_share_a_folder_because_airflow_takes_that_for_a_loop(
    setup: Setup, origin: Origin
) -> None:
    origin.commit({"content/shared/twin/__init__.py": "tools 1\n"})
    setup.syncer().sync()
    assert (setup.target / "plugins/tools").resolve() != (setup.target / "plugins/twin").resolve()


def test_links_are_relative_so_that_the_volume_can_be_mounted_elsewhere(setup: Setup, tmp_path: Path) -> None:
    setup.syncer().sync()
    setup.target.rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/dags/rollout.py").read_text() == "dag 1\n"
    assert (tmp_path / "elsewhere/plugins/lib/deep/module.py").read_text() == "deep 1\n"


def test_published_files_are_for_all_to_read_and_for_nobody_to_write(setup: Setup, origin: Origin) -> None:
    script = origin.path / "content/shared/tools/script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    origin.record()
    setup.syncer().sync()
    assert (setup.target / "dags/rollout.py").stat().st_mode & 0o777 == 0o444
    assert (setup.target / "plugins/tools/script").stat().st_mode & 0o777 == 0o555
    assert (setup.target / "dags").stat().st_mode & 0o555 == 0o555


def test_file_contents_are_as_in_git_whatever_the_attributes_say(setup: Setup, origin: Origin) -> None:
    (origin.path / ".gitattributes").write_text("*.py text eol=crlf ident\n")
    (origin.path / "content/dags/raw.py").write_bytes(b"$Id$\nline\n")
    origin.record()
    setup.syncer().sync()
    assert (setup.target / "dags/raw.py").read_bytes() == b"$Id$\nline\n"


def test_odd_file_names_survive(setup: Setup, origin: Origin) -> None:
    name = "content/dags/" + os.fsdecode(b"a b\n\xff\xc3\xa9'\".txt")
    origin.commit({name: "odd\n"})
    setup.syncer().sync()
    assert (setup.target / name.removeprefix("content/")).read_text() == "odd\n"


def test_a_link_inside_a_tree_is_published_and_one_that_leaves_it_stops_the_sync(
    setup: Setup, origin: Origin
) -> None:
    (origin.path / "content/dags/alias.py").symlink_to("rollout.py")
    origin.record()
    setup.syncer().sync()
    assert (setup.target / "dags/alias.py").read_text() == "dag 1\n"
    (origin.path / "content/dags/secret").symlink_to("../../../../etc/passwd")
    origin.record()
    with pytest.raises(ContentError, match=r"the link secret .* leaves its tree"):
        setup.syncer().sync()
    assert setup.content() == PUBLISHED | {"dags/alias.py": "dag 1\n"}


def test_a_folder_that_others_left_in_the_volume_is_replaced(setup: Setup) -> None:
    (setup.target / "dags/old").mkdir(parents=True)
    (setup.target / "dags/old/x.py").write_text("left\n")
    setup.syncer().sync()
    assert setup.content() == PUBLISHED


def test_a_replaced_tree_stays_for_the_retention_and_not_longer(setup: Setup, origin: Origin) -> None:
    setup.syncer().sync()
    first = (setup.target / "dags").resolve()
    os.utime(first, (0, 0))
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    setup.syncer().sync()
    assert (first / "rollout.py").read_text() == "dag 1\n"
    aged = first.stat().st_mtime - 301
    os.utime(first, (aged, aged))
    setup.syncer(retention="302").sync()
    assert first.exists()
    setup.syncer(retention="300").sync()
    assert not first.exists()
    assert setup.content()["dags/rollout.py"] == "dag 2\n"


def test_a_served_tree_is_not_pruned_however_old_it_is(setup: Setup) -> None:
    setup.syncer().sync()
    os.utime((setup.target / "dags").resolve(), (0, 0))
    setup.syncer().sync()
    assert setup.content() == PUBLISHED


def revision(number: int) -> dict[str, str]:
    """DAG and operator files that all carry the revision's number."""
    return {
        f"content/{folder}/{name}.py": f"{number}\n"
        for folder in ("dags", "plugins/operators")
        for name in "abcdef"
    }


def test_readers_find_one_revision_whole_or_the_other_and_never_nothing(setup: Setup, origin: Origin) -> None:
    origin.commit(revision(0))
    syncer = setup.syncer()
    syncer.sync()
    done = threading.Event()
    faults: list[str] = []
    reads = [0, 0]

    def hammer(reader: int, slot: str) -> None:
        while not done.is_set():
            folder = os.open(setup.target / slot, os.O_RDONLY | os.O_DIRECTORY)
            try:
                found = {Path(f"/proc/self/fd/{folder}/{name}.py").read_text() for name in "abcdef"}
                (setup.target / slot / "a.py").read_text()
                reads[reader] += 7
            except OSError as error:
                faults.append(str(error))
                found = set()
            finally:
                os.close(folder)
            if len(found) > 1:
                faults.append(f"{slot} mixed revisions {found}")

    readers = [
        threading.Thread(target=hammer, args=(number, slot))
        for number, slot in enumerate(("dags", "plugins/operators"))
    ]
    for reader in readers:
        reader.start()
    number = 0
    try:
        while not faults and (number < 10 or min(reads) < 10_000):
            number += 1
            origin.commit(revision(number))
            syncer.sync()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not faults
    assert setup.content()["dags/a.py"] == f"{number}\n"


class Killed(BaseException):
    """What stops a sync between two steps in these tests."""


@pytest.mark.parametrize("survived", range(5))
def test_publishing_that_stopped_between_steps_is_finished_even_with_the_origin_away(
    setup: Setup, origin: Origin, survived: int
) -> None:
    setup.syncer().sync()
    origin.commit(
        {
            "content/plugins/operators/deploy.py": None,
            "content/plugins/operators/deploy2.py": "operator 2\n",
            "content/shared/tools/__init__.py": None,
            "content/shared/tools2/__init__.py": "tools 2\n",
            "content/dags/rollout.py": "dag 2\n",
        }
    )
    steps: list[Step] = []

    def stop(step: Step) -> None:
        steps.append(step)
        if len(steps) > survived:
            raise Killed

    with pytest.raises(Killed):
        setup.syncer(observe=stop).sync()
    syncer = setup.syncer(source=str(origin.path / "away"))
    with pytest.raises(Exception, match=r"does not exist|not appear to be a git repository"):
        syncer.sync()
    wanted = {
        **PUBLISHED,
        "plugins/operators/deploy2.py": "operator 2\n",
        "plugins/tools2/__init__.py": "tools 2\n",
        "dags/rollout.py": "dag 2\n",
    }
    del wanted["plugins/operators/deploy.py"], wanted["plugins/tools/__init__.py"]
    assert setup.content() == wanted
    published = syncer.publisher.published()
    assert published
    assert published.revision == origin.git("rev-parse", "HEAD")
