import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from git_http import GitServer, git_server
from syncer_kit import Origin, Setup

from content_syncer.errors import ContentError, CredentialsError, GitError, SettingsError, SignatureError
from content_syncer.settings import read_settings

OLD, NEW = "0ld-t0ken", "n3w-t0ken"


@pytest.fixture
def server(tmp_path: Path, origin: Origin) -> Iterator[GitServer]:
    with git_server(tmp_path, "robot", OLD) as running:
        yield running


def dag(setup: Setup) -> str:
    return setup.content()["dags/rollout.py"]


def rotate(server: GitServer, tmp_path: Path, token: str) -> None:
    """Make the origin take another token only."""
    with git_server(tmp_path, "robot", token) as other:
        server.login = other.login


def test_a_rotated_token_file_is_used_without_a_restart(
    setup: Setup, origin: Origin, server: GitServer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(OLD + "\n")
    source = f"http://{server.host}/origin"
    syncer = setup.syncer(source=source, git_token_file=str(token), git_user="robot")
    syncer.sync()
    rotate(server, tmp_path, NEW)
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    with pytest.raises(GitError, match="Authentication failed"):
        syncer.sync()
    token.write_text(NEW)
    syncer.sync()
    assert dag(setup) == "dag 2\n"


@pytest.mark.parametrize("content", [None, "", "  \n", "two\nlines", b"\xff"])
def test_a_token_file_without_a_token_is_an_error_that_names_the_setting(
    setup: Setup, server: GitServer, tmp_path: Path, content: str | bytes | None
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CredentialsError, match="CONTENT_SYNCER_GIT_TOKEN_FILE"):
        setup.syncer(source=f"http://{server.host}/origin", git_token_file=str(token)).sync()


def test_a_token_from_a_file_is_in_no_output_and_no_file(
    setup: Setup, server: GitServer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(OLD)
    good = setup.run(
        "once", source=f"http://{server.host}/origin", git_token_file=str(token), git_user="robot"
    )
    bad = setup.run(
        "once", source=f"http://{server.host}/gone", git_token_file=str(token), once_timeout="0.1"
    )
    assert good[0] == 0
    assert OLD not in "".join(part for _, *parts in (good, bad) for part in parts)
    files = [path for top in (setup.target, tmp_path / "cache") for path in top.rglob("*") if path.is_file()]
    assert not [path for path in files if OLD.encode() in path.read_bytes()]


class Askpass(HTTPServer):
    """Hands out a login, or `fault` with an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answer = f"username=robot\npassword={OLD}\n"
        self.fault = 0


class _Answer(BaseHTTPRequestHandler):
    server: Askpass

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.send_response(self.server.fault or 200)
        self.end_headers()
        self.wfile.write(self.server.answer.encode())


@pytest.fixture
def askpass() -> Iterator[Askpass]:
    with Askpass() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_an_askpass_outage_keeps_what_is_served_and_heals(
    setup: Setup, origin: Origin, server: GitServer, askpass: Askpass
) -> None:
    url = f"http://127.0.0.1:{askpass.server_port}/login"
    syncer = setup.syncer(source=f"http://{server.host}/origin", askpass_url=url)
    syncer.sync()
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    askpass.fault = 500
    with pytest.raises(CredentialsError, match=r"ASKPASS_URL fails: HTTPError .* 500"):
        syncer.sync()
    askpass.fault, askpass.answer = 0, "nonsense"
    with pytest.raises(CredentialsError, match="gave no password"):
        syncer.sync()
    assert dag(setup) == "dag 1\n"
    askpass.answer = f"username=robot\npassword={OLD}\n"
    syncer.sync()
    assert dag(setup) == "dag 2\n"


def test_an_askpass_service_that_is_gone_is_an_error(setup: Setup, server: GitServer) -> None:
    with pytest.raises(CredentialsError, match="ASKPASS_URL fails: URLError"):
        setup.syncer(source=f"http://{server.host}/origin", askpass_url="http://127.0.0.1:1/").sync()


@pytest.mark.parametrize(
    "changes",
    [
        {"GIT_TOKEN_FILE": "/t", "ASKPASS_URL": "http://h/"},
        {"GIT_REPO_SOURCE": "https://u:p@h.org/a", "GIT_TOKEN_FILE": "/t"},
        {"GIT_REPO_SOURCE": "git@h.org:a", "GIT_TOKEN_FILE": "/t"},
        {"ASKPASS_URL": "file:///etc/passwd"},
        {"ALLOW": "hooks"},
        {"HTTP_LISTEN": "here"},
        {"HTTP_LISTEN": "127.0.0.1:99999"},
        {"SSH_KEY_FILE": "key"},
    ],
)
def test_settings_that_contradict_or_make_no_sense_are_refused(changes: dict[str, str]) -> None:
    values = {"GIT_REPO_SOURCE": "https://h.org/a", **changes}
    with pytest.raises(SettingsError, match="CONTENT_SYNCER_"):
        read_settings({f"CONTENT_SYNCER_{name}": value for name, value in values.items()})


def test_the_server_listens_on_loopback_unless_told_otherwise() -> None:
    source = {"CONTENT_SYNCER_GIT_REPO_SOURCE": "/srv/a"}
    addresses = {text: read_settings({**source, "CONTENT_SYNCER_HTTP_LISTEN": text}).listen
                 for text in ("", ":9100", "0.0.0.0:9100", "[::1]:9100")}  # fmt: skip
    assert addresses == {
        "": None,
        ":9100": ("127.0.0.1", 9100),
        "0.0.0.0:9100": ("0.0.0.0", 9100),  # noqa: S104
        "[::1]:9100": ("::1", 9100),
    }


def test_ssh_is_called_with_the_key_and_the_known_hosts_and_never_trusts_a_stranger(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    fake = tmp_path / "bin/ssh"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {calls}\nexit 255\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    key, hosts = tmp_path / "a key", tmp_path / "known"
    with pytest.raises(GitError):
        setup.syncer(
            source="ssh://git@h.example/a", ssh_key_file=str(key), ssh_known_hosts_file=str(hosts)
        ).sync()
    said = calls.read_text().splitlines()
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes", f'IdentityFile="{key}"'} <= set(said)
    assert {f"UserKnownHostsFile={hosts}", "GlobalKnownHostsFile=/dev/null"} <= set(said)


def sign(origin: Origin, key: Path, text: str) -> str:
    """Commit a DAG with a signature of the key."""
    (origin.path / "content/dags/rollout.py").write_text(text)
    origin.git("add", "--all")
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}")
    origin.git(*signing, "commit", "--quiet", "--gpg-sign", "--message=signed")
    return origin.git("rev-parse", "HEAD")


def make_key(path: Path) -> str:
    """Make an ssh key; returns its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def test_only_commits_of_allowed_signers_are_published(setup: Setup, origin: Origin, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text(f"tests@example.org {make_key(tmp_path / 'good')}")
    make_key(tmp_path / "stranger")
    sign(origin, tmp_path / "good", "signed\n")
    syncer = setup.syncer(allowed_signers_file=str(signers))
    syncer.sync()
    assert dag(setup) == "signed\n"
    origin.commit({"content/dags/rollout.py": "unsigned\n"})
    with pytest.raises(SignatureError, match="is not signed by any of"):
        syncer.sync()
    sign(origin, tmp_path / "stranger", "by a stranger\n")
    with pytest.raises(SignatureError, match="is not signed by any of"):
        syncer.sync()
    assert dag(setup) == "signed\n"
    sign(origin, tmp_path / "good", "signed again\n")
    syncer.sync()
    assert dag(setup) == "signed again\n"


@pytest.mark.parametrize("folder", [".", "content", "content/shared", "content/dags", "content/dags/deep"])
def test_attributes_that_name_a_filter_are_refused_unless_allowed(
    setup: Setup, origin: Origin, folder: str
) -> None:
    setup.syncer().sync()
    origin.commit(
        {
            f"{folder}/.gitattributes": "# filter=x\n*.bin filter=lfs diff=lfs -text\n",
            "content/dags/a.bin": "pointer\n",
        }
    )
    with pytest.raises(
        ContentError, match=r"\.gitattributes sets a filter.*add filters to CONTENT_SYNCER_ALLOW"
    ):
        setup.syncer().sync()
    assert "dags/a.bin" not in setup.content()
    setup.syncer(allow="filters").sync()
    assert setup.content()["dags/a.bin"] == "pointer\n"


def test_a_submodule_is_refused_unless_allowed_and_never_followed(setup: Setup, origin: Origin) -> None:
    setup.syncer().sync()
    commit = origin.git("rev-parse", "HEAD")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{commit},content/dags/module")
    origin.git("commit", "--quiet", "--message=submodule")
    with pytest.raises(ContentError, match="module is a submodule"):
        setup.syncer().sync()
    setup.syncer(allow="submodules").sync()
    assert not (setup.target / "dags/module").exists()


def test_a_link_that_leaves_its_tree_can_be_allowed(setup: Setup, origin: Origin) -> None:
    (origin.path / "content/dags/outside").symlink_to("/etc/hostname")
    origin.record()
    setup.syncer(allow="links").sync()
    assert (setup.target / "dags/outside").readlink() == Path("/etc/hostname")


def test_hooks_never_run(setup: Setup, origin: Origin, tmp_path: Path) -> None:
    syncer = setup.syncer()
    syncer.sync()
    (repository,) = (tmp_path / "cache").glob("repository-*")
    ran = tmp_path / "ran"
    for name in ("reference-transaction", "post-checkout", "post-merge"):
        hook = repository / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    origin.commit({"content/dags/rollout.py": "dag 2\n"})
    syncer.sync()
    assert dag(setup) == "dag 2\n"
    assert not ran.exists()
