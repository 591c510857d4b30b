"""Content reaches the origin as the working tree, a revision or a change has it; no token shows."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.content import Content, ContentError, resolve
from harness.runtime.base import Executed
from harness.runtime.fake import FakeRuntime
from harness.waits import WaitTimeout

TOKEN = "a-very-secret-token"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    return subprocess.check_output(["git", *identity, *arguments], cwd=folder, text=True).strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "content/dags").mkdir(parents=True)
    (folder / "content/dags/one.py").write_text("1")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def serving(revision: str) -> FakeRuntime:
    return FakeRuntime(answer=lambda service, command: Executed(0, json.dumps({"revision": revision})))


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def content(origin: Path, events: list[dict[str, Any]]) -> Iterator[Content]:
    made = Content(
        serving("abc"),
        {"worker-1": "worker-1-syncer"},
        str(origin),
        ("syncer", TOKEN),
        lambda kind, **facts: events.append({"kind": kind, **facts}),
    )
    yield made
    made.close()


def test_the_working_tree_is_pushed_with_uncommitted_files_and_without_ignored_ones(
    content: Content, origin: Path, checkout: Path
) -> None:
    (checkout / "content/dags/two.py").write_text("2")
    (checkout / "content/dags/noise.log").write_text("x")
    content.push_directory(checkout / "content")
    files = git(origin, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert files == ["content/dags/one.py", "content/dags/two.py"]
    assert git(checkout, "status", "--short") == "?? content/dags/two.py"


def test_equal_trees_make_equal_revisions(content: Content, checkout: Path, origin: Path) -> None:
    first = content.push_directory(checkout / "content")
    other = Content(serving(""), {}, str(origin), ("syncer", TOKEN), lambda kind, **facts: None)
    assert other.push_directory(checkout / "content") == first
    other.close()


def test_a_revision_is_pushed_as_it_was(content: Content, origin: Path, checkout: Path) -> None:
    old = git(checkout, "rev-parse", "HEAD")
    (checkout / "content/dags/one.py").write_text("changed")
    git(checkout, "commit", "-qam", "second")
    content.push_revision(checkout, old)
    assert git(origin, "show", "main:content/dags/one.py") == "1"


def test_changes_go_on_top_of_what_was_pushed(content: Content, origin: Path, checkout: Path) -> None:
    content.push_directory(checkout / "content")
    revision = content.push_changes({"dags/new.py": "n", "dags/one.py": None})
    assert git(origin, "rev-parse", "main") == revision == content.revision
    assert git(origin, "ls-tree", "-r", "--name-only", "main") == "content/dags/new.py"


def test_changes_of_two_at_the_same_time_are_both_kept(
    content: Content, origin: Path, checkout: Path
) -> None:
    content.push_directory(checkout / "content")
    others = [
        Content(serving(""), {}, str(origin), ("syncer", TOKEN), lambda kind, **facts: None) for _ in range(3)
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda n: others[n].push_changes({f"dags/{n}.py": str(n)}), range(3)))
    for other in others:
        other.close()
    files = git(origin, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert files == [f"content/dags/{name}.py" for name in ("0", "1", "2", "one")]


def test_going_back_makes_the_origin_offer_the_former_revision(
    origin: Path, checkout: Path, events: list[dict[str, Any]]
) -> None:
    first = Content(serving(""), {}, str(origin), ("syncer", TOKEN), lambda kind, **facts: None)
    revision = first.push_directory(checkout / "content")
    later = first.push_changes({"dags/two.py": "2"})
    first.close()
    back = Content(serving(revision), {"a": "a-syncer"}, str(origin), ("u", "t"), lambda kind, **f: None)
    assert back.revision == later
    back.restore(revision)
    assert back.revision == revision
    back.close()


def test_a_later_revision_contains_what_it_was_pushed_on(
    content: Content, origin: Path, checkout: Path
) -> None:
    content.push_directory(checkout / "content")
    earlier = content.push_changes({"dags/two.py": "2"})
    later = content.push_changes({"dags/three.py": "3"})
    made = Content(serving(later), {"a": "a-syncer"}, str(origin), ("u", "t"), lambda kind, **f: None)
    assert made.wait_until_contained(earlier, timeout=5)["a"].revision == later
    made.close()
    old = Content(serving(earlier), {"a": "a-syncer"}, str(origin), ("u", "t"), lambda kind, **f: None)
    with pytest.raises(WaitTimeout):
        old.wait_until_contained(later, timeout=0)
    old.close()


def test_the_files_in_which_airflow_looks_for_dags_mention_both_words(
    content: Content, checkout: Path
) -> None:
    dags = checkout / "content/dags"
    (dags / "below").mkdir()
    (dags / "below/two.py").write_text("from airflow.sdk import DAG\n")
    (dags / "apart.py").write_text("import AIRFLOW\n\n# a Dag\n")
    (dags / "words.py").write_text("import airflow\n")
    (dags / "notes.md").write_text("An airflow DAG\n")
    content.push_directory(checkout / "content")
    assert sorted(content.dag_files()) == ["apart.py", "below/two.py"]


def test_where_airflow_finds_no_dags_there_are_no_files_to_look_in(content: Content, checkout: Path) -> None:
    content.push_directory(checkout / "content")
    assert content.dag_files() == []


def test_a_folder_without_dags_is_refused(content: Content, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="holds no dags folder"):
        content.push_directory(tmp_path)


def test_a_revision_is_found_by_any_of_its_names(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    git(checkout, "tag", "-a", "v1", "-m", "tag")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "second")
    assert {resolve(checkout, name) for name in ("v1", "HEAD~1", first, first[:10])} == {first}
    assert resolve(checkout, "main") != first


def test_an_unknown_revision_is_named_in_the_error(checkout: Path) -> None:
    with pytest.raises(ContentError, match="no revision 'no-such-branch'"):
        resolve(checkout, "no-such-branch")


def test_an_error_of_git_does_not_show_the_token(checkout: Path, tmp_path: Path) -> None:
    made = Content(serving(""), {}, str(tmp_path / TOKEN), ("syncer", TOKEN), lambda kind, **facts: None)
    with pytest.raises(ContentError) as caught:
        made.push_directory(checkout / "content")
    made.close()
    assert TOKEN not in str(caught.value)
    assert "***" in str(caught.value)


def test_waiting_says_what_each_pod_serves_instead(content: Content) -> None:
    assert content.wait_until_served("abc", timeout=1)["worker-1"].revision == "abc"
    with pytest.raises(WaitTimeout, match="worker-1 serves abc"):
        content.wait_until_served("def", timeout=0)


def test_poking_sends_the_syncers_their_signal(origin: Path) -> None:
    runtime = serving("abc")
    made = Content(
        runtime, {"a": "a-syncer", "b": "b-syncer"}, str(origin), ("u", "t"), lambda kind, **f: None
    )
    made.poke(["b"])
    made.close()
    assert runtime.signals == [("b-syncer", "SIGUSR1")]
