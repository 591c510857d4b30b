"""Running ic-admin."""

import json
from pathlib import Path

import pytest

from dfinity.ic_admin import IcAdminError, looks_like_pem, propose
from dfinity.rollout import SubnetRollout

KEY = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0IHNlY3JldA==\n-----END EC PRIVATE KEY-----\n"
STEP = SubnetRollout(
    subnet_id="io67a-x",
    replica_count=13,
    git_revision="a" * 40,
    batch=3,
    start_at="2026-11-23T09:00:00+00:00",
    simulate=False,
    sensor_interval=60,
)
REQUEST = STEP.request()
RECORD = """#!/usr/bin/python3
import json, os, sys
key = sys.argv[sys.argv.index("--secret-key-pem") + 1]
seen = {"argv": sys.argv[1:], "key_file": key, "key": open(key).read(), "mode": os.stat(key).st_mode & 0o777}
json.dump(seen, open(__file__ + ".json", "w"))
"""


@pytest.fixture
def ic_admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path where a test puts its ic-admin; nothing else is on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "ic-admin"


def install(path: Path, script: str) -> None:
    path.write_text(RECORD + script)
    path.chmod(0o755)


def test_the_proposal_number_is_read_from_the_output(ic_admin: Path) -> None:
    install(ic_admin, "print('submitting'); print('proposal 130001')")
    assert propose(REQUEST, KEY, dry_run=False)[0] == 130001


def test_the_command_line_names_subnet_and_revision_and_not_the_key(ic_admin: Path) -> None:
    install(ic_admin, "print('proposal 1')")
    propose(REQUEST, KEY, dry_run=False)
    argv = json.loads(Path(f"{ic_admin}.json").read_text())["argv"]
    assert argv[:2] == ["--nns-urls", "https://ic0.app"]
    assert argv[4:7] == ["propose-to-deploy-guestos-to-all-subnet-nodes", "--proposer", "80"]
    assert argv[-2:] == ["io67a-x", "a" * 40]
    assert "--dry-run" not in argv
    assert "c2VjcmV0" not in " ".join(argv)


def test_the_key_is_a_private_file_that_is_gone_afterwards(ic_admin: Path) -> None:
    install(ic_admin, "print('proposal 1')")
    propose(REQUEST, KEY, dry_run=False)
    seen = json.loads(Path(f"{ic_admin}.json").read_text())
    assert (seen["key"], seen["mode"]) == (KEY, 0o600)
    assert not Path(seen["key_file"]).exists()


def test_a_simulation_is_a_dry_run_without_a_proposal(ic_admin: Path) -> None:
    install(ic_admin, "print('the payload')")
    assert propose(REQUEST, KEY, dry_run=True) == (None, "the payload\n")
    argv = json.loads(Path(f"{ic_admin}.json").read_text())["argv"]
    assert argv[-3:] == ["--dry-run", "io67a-x", "a" * 40]


def test_a_failure_tells_what_ic_admin_printed_but_not_the_key(ic_admin: Path) -> None:
    install(ic_admin, "print('bad signature by', open(key).read(), file=sys.stderr); sys.exit(3)")
    with pytest.raises(IcAdminError, match="exited with 3: bad signature by") as caught:
        propose(REQUEST, KEY, dry_run=False)
    assert "c2VjcmV0" not in str(caught.value)
    assert not Path(json.loads(Path(f"{ic_admin}.json").read_text())["key_file"]).exists()


def test_the_output_of_a_success_does_not_contain_the_key_either(ic_admin: Path) -> None:
    install(ic_admin, "print(open(key).read()); print('proposal 5')")
    number, output = propose(REQUEST, KEY, dry_run=False)
    assert (number, "c2VjcmV0" in output) == (5, False)


def test_a_success_without_a_number_is_an_error(ic_admin: Path) -> None:
    install(ic_admin, "print('done')")
    with pytest.raises(IcAdminError, match="without naming a proposal"):
        propose(REQUEST, KEY, dry_run=False)


def test_a_missing_ic_admin_is_named(ic_admin: Path) -> None:
    with pytest.raises(IcAdminError, match="no ic-admin on PATH"):
        propose(REQUEST, KEY, dry_run=False)


def test_a_pem_file_is_told_from_other_text() -> None:
    assert looks_like_pem(KEY)
    assert not looks_like_pem("/path/to/key.pem")
