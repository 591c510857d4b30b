"""Runs `ic-admin`, which signs proposals with the release automation's key and submits them to the NNS."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dfinity.production import NNS_URL, PROPOSER_NEURON_ID
from dfinity.proposals import ProposalRequest

TIMEOUT_SECONDS: Final = 300
_SUBMITTED: Final = re.compile(r"^proposal (\d+)\s*$", re.MULTILINE)
_REDACTED: Final = "[redacted]"


class IcAdminError(Exception):
    """ic-admin could not be run, or reported a failure. The proposal may exist all the same."""


def looks_like_pem(text: str) -> bool:
    """Whether the text has the armour of a PEM file."""
    return "-----BEGIN " in text and "-----END " in text


def propose(request: ProposalRequest, key: str, *, dry_run: bool) -> tuple[int | None, str]:
    """Makes the proposal, or tries it without submitting (`--dry-run`).

    Returns the new proposal's number (None of a dry run) and what ic-admin printed. `key` is the text of
    a PEM file: it is on disk only while ic-admin runs, readable by this user only, and it is cut out of
    whatever ic-admin prints. Raises IcAdminError.
    """
    with tempfile.TemporaryDirectory(prefix="ic-admin-") as directory:
        key_file = Path(directory) / "proposer.pem"
        key_file.touch(mode=0o600)
        key_file.write_text(key)
        output = _run(_command(request, key_file, dry_run), key)
    if dry_run:
        return None, output
    submitted = _SUBMITTED.search(output)
    if submitted is None:
        raise IcAdminError(f"ic-admin succeeded without naming a proposal; it printed: {output[-500:]}")
    return int(submitted[1]), output


def _command(request: ProposalRequest, key_file: Path, dry_run: bool) -> list[str]:
    return [
        "ic-admin",
        "--nns-urls",
        NNS_URL,
        "--secret-key-pem",
        str(key_file),
        request.command,
        "--proposer",
        PROPOSER_NEURON_ID,
        "--proposal-title",
        request.title,
        "--summary",
        request.summary,
        *(["--dry-run"] if dry_run else []),
        *request.arguments,
    ]


def _run(command: Sequence[str], key: str) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise IcAdminError("there is no ic-admin on PATH; the worker image must contain it") from None
    except subprocess.TimeoutExpired:
        raise IcAdminError(f"ic-admin did not finish within {TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        printed = _without_key(done.stderr or done.stdout, key).strip()
        raise IcAdminError(f"ic-admin exited with {done.returncode}: {printed[-2000:]}")
    return _without_key(done.stdout, key)


def _without_key(text: str, key: str) -> str:
    for line in (line.strip() for line in key.splitlines()):
        if line and not line.startswith("-----"):
            text = text.replace(line, _REDACTED)
    return text
