import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_http import GitServer, git_server
from syncer_kit import Origin, Setup

from content_syncer.errors import ContentError, GitError, SyncError

PASSWORD = "s3cr3t/t%ken"
ENCODED = "s3cr3t%2Ft%25ken"


@pytest.fixture
def server(tmp_path: Path, origin: Origin) -> Iterator[GitServer]:
    with git_server(tmp_path, "robot", PASSWORD) as running:
        yield running


def dag(setup: Setup) -> str:
    return setup.content()["dags/rollout.py"]


def test_another_branch_takes_the_place_of_the_first(setup: Setup, origin: Origin) -> None:
    setup.syncer().sync()
    origin.git("checkout", "--quiet", "-b", "release/1")
    origin.commit({"content/dags/rollout.py": "released\n", "content/dags/other.py": None})
    setup.syncer(branch="release/1").sync()
    assert dag(setup) == "released\n"
    assert "dags/other.py" not in setup.content()
    setup.syncer(branch="main").sync()
    assert dag(setup) == "dag 1\n"


def test_another_origin_takes_the_place_of_the_first(setup: Setup, tmp_path: Path) -> None:
    setup.syncer().sync()
    other = Origin(tmp_path / "other")
    other.commit({"content/dags/rollout.py": "other origin\n"})
    setup.syncer(source=str(other.path)).sync()
    assert setup.content() == {"dags/rollout.py": "other origin\n"}


def test_another_subpath_of_the_same_revision_is_published(setup: Setup, origin: Origin) -> None:
    origin.commit({"next/dags/rollout.py": "next\n"})
    setup.syncer().sync()
    setup.syncer(subpath="next").sync()
    assert setup.content() == {"dags/rollout.py": "next\n"}


@pytest.mark.parametrize("annotated", [True, False])
def test_a_tag_can_be_published(setup: Setup, origin: Origin, annotated: bool) -> None:
    tagged = origin.git("rev-parse", "HEAD")
    origin.git("tag", *(["--annotate", "--message=v1"] if annotated else []), "v1")
    origin.commit({"content/dags/rollout.py": "later\n"})
    syncer = setup.syncer(branch="v1")
    assert syncer.sync().revision == tagged
    assert syncer.sync().changed == ()
    assert dag(setup) == "dag 1\n"


def test_a_full_commit_id_can_be_published(setup: Setup, origin: Origin) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.commit({"content/dags/rollout.py": "later\n"})
    assert setup.syncer(branch=first).sync().revision == first
    assert dag(setup) == "dag 1\n"


def test_a_force_pushed_branch_is_followed(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer()
    syncer.sync()
    origin.git("checkout", "--quiet", "--orphan", "rewritten")
    rewritten = origin.commit({"content/dags/rollout.py": "rewritten\n"})
    origin.git("branch", "--force", "main", "rewritten")
    assert syncer.sync().revision == rewritten
    assert dag(setup) == "rewritten\n"


def test_a_rewound_branch_is_followed(setup: Setup, origin: Origin) -> None:
    syncer = setup.syncer()
    first = syncer.sync().revision
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    assert syncer.sync().revision == first
    assert dag(setup) == "dag 1\n"


def test_a_deleted_branch_is_an_error_and_the_last_revision_stays(setup: Setup, origin: Origin) -> None:
    origin.git("branch", "doomed")
    syncer = setup.syncer(branch="doomed")
    syncer.sync()
    origin.git("branch", "--delete", "--force", "doomed")
    with pytest.raises(ContentError, match="has no branch or tag 'doomed'"):
        syncer.sync()
    assert dag(setup) == "dag 1\n"


def test_an_unreachable_origin_is_an_error_and_the_last_revision_stays(setup: Setup) -> None:
    setup.syncer().sync()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/origin"
    with pytest.raises(GitError, match="unable to access"):
        setup.syncer(source=address).sync()
    assert dag(setup) == "dag 1\n"


def test_an_origin_that_never_answers_is_given_up(setup: Setup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/origin"
        with pytest.raises(GitError, match=r"git fetch took longer than 0.5 s"):
            setup.syncer(source=address, git_timeout="0.5").sync()


def test_an_origin_that_ends_in_the_middle_is_an_error(setup: Setup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as flaky:

        def hang_up() -> None:
            connection, _ = flaky.accept()
            with connection:
                connection.recv(1)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(GitError, match="git fetch: "):
            setup.syncer(source=f"http://127.0.0.1:{flaky.getsockname()[1]}/origin").sync()
        thread.join()


def test_nothing_is_fetched_while_the_branch_has_not_moved(setup: Setup, tmp_path: Path) -> None:
    setup.syncer().sync()
    restarted = setup.syncer(cache=str(tmp_path / "cache of the sidecar"))
    restarted.sync()
    assert not list((tmp_path / "cache of the sidecar").glob("*/shallow"))


def test_only_one_commit_is_fetched(setup: Setup, origin: Origin, tmp_path: Path) -> None:
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    setup.syncer().sync()
    (shallow,) = (tmp_path / "cache").glob("*/shallow")
    assert shallow.read_text().split() == [origin.git("rev-parse", "HEAD")]


def test_a_login_in_the_address_reaches_the_origin_and_nobody_else(
    setup: Setup, server: GitServer, tmp_path: Path
) -> None:
    setup.syncer(source=f"http://robot:{ENCODED}@{server.host}/origin").sync()
    assert dag(setup) == "dag 1\n"
    assert server.login in server.authorizations
    leaks = [PASSWORD, ENCODED, server.login.removeprefix("Basic ")]
    files = [path for top in (setup.target, tmp_path / "cache") for path in top.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files for leak in leaks if leak.encode() in path.read_bytes()]


def test_a_token_alone_in_the_address_is_the_user_name(setup: Setup, tmp_path: Path, origin: Origin) -> None:
    with git_server(tmp_path, "tok3n", "") as server:
        setup.syncer(source=f"http://tok3n@{server.host}/origin").sync()
    assert dag(setup) == "dag 1\n"


@pytest.mark.usefixtures("origin")
def test_a_login_does_not_follow_a_redirect_to_another_host(
    setup: Setup, server: GitServer, tmp_path: Path
) -> None:
    with git_server(tmp_path, "robot", PASSWORD) as stranger:
        server.redirect = stranger.host
        with pytest.raises(GitError):
            setup.syncer(source=f"http://robot:{ENCODED}@{server.host}/origin").sync()
        assert stranger.authorizations
        assert set(stranger.authorizations) == {None}


def test_a_refused_login_is_an_error_without_the_secret(setup: Setup, server: GitServer) -> None:
    with pytest.raises(SyncError, match="Authentication failed") as failure:
        setup.syncer(source=f"http://robot:wr0ng-one@{server.host}/origin").sync()
    assert "wr0ng-one" not in str(failure.value)


def test_a_missing_login_is_an_error_and_never_a_prompt(setup: Setup, server: GitServer) -> None:
    with pytest.raises(SyncError, match="terminal prompts disabled"):
        setup.syncer(source=f"http://{server.host}/origin").sync()


def test_the_secret_is_never_in_a_process_argument(
    setup: Setup, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    spy = tmp_path / "bin/git"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\nPATH="$REAL_PATH" exec git "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("REAL_PATH", os.environ["PATH"])
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    setup.syncer(source=f"http://robot:{ENCODED}@{server.host}/origin").sync()
    assert f"http://{server.host}/origin" in calls.read_text()
    assert PASSWORD not in calls.read_text()
    assert ENCODED not in calls.read_text()


@pytest.mark.parametrize(
    ("variable", "value", "file"),
    [
        ("GIT_CONFIG_GLOBAL", "configuration", "configuration"),
        ("HOME", ".", ".gitconfig"),
        ("XDG_CONFIG_HOME", ".", "git/config"),
    ],
)
def test_the_machines_git_configuration_is_not_used(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, file: str
) -> None:
    configuration = tmp_path / "home" / file
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f'[url "/nowhere/"]\n\tinsteadOf = {tmp_path}/\n')
    monkeypatch.setenv(variable, str(tmp_path / "home" / value))
    setup.syncer().sync()
    assert dag(setup) == "dag 1\n"


def test_the_machines_netrc_is_not_used(
    setup: Setup, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login robot password {PASSWORD}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SyncError, match="terminal prompts disabled"):
        setup.syncer(source=f"http://{server.host}/origin").sync()
