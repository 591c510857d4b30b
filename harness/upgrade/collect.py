"""Facts of an image: the probe is run in a container without network, and what it tells is kept."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from harness import engine
from harness.labels import Owner
from harness.paths import CACHE
from harness.topology import CONTENT_DIR
from harness.upgrade.facts import Answers, Facts, FactsError, Questions, parse
from harness.upgrade.snapshot import Snapshot

PROBE = Path(__file__).parent / "probe"
FOLDER = "/tmp/upgrade"  # noqa: S108 - a tmpfs of the container
TIMEOUT = 300
MEMORY = "2g"
TAIL = 2000

SETTINGS: dict[str, str] = {
    "AIRFLOW_HOME": f"{FOLDER}/airflow",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{FOLDER}/airflow.db",
    "AIRFLOW__CORE__DAGS_FOLDER": f"{CONTENT_DIR}/dags",
    "AIRFLOW__CORE__PLUGINS_FOLDER": f"{CONTENT_DIR}/plugins",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # Full errors, and no error because the machine is busy.
    "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "100",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
    "PYTHONDONTWRITEBYTECODE": "1",
}

UNPACK = (
    "import os,runpy,sys,tarfile;"
    "tarfile.open(fileobj=sys.stdin.buffer,mode='r|').extractall('/');"
    "sys.path.insert(0,sys.argv.pop(1));"
    "runpy.run_module('probe',run_name='__main__',alter_sys=True)"
)
"""What the container's Python is told: take probe and content from standard input, and run the probe."""


def facts(image: str, image_id: str, content: Snapshot, fresh: bool = False) -> Facts:
    """Facts of the image and of `content` in it; from the cache, unless they shall be `fresh`.

    Raises `FactsError` when the container says nothing usable.
    """
    kept = _cached("facts", image_id, content, {})
    if kept.exists() and not fresh:
        return parse(json.loads(kept.read_text()), str(kept))
    found = parse(_run(image, content, None), image)
    if not found["failed"]:
        _keep(kept, found)
    return found


def answers(
    image: str, image_id: str, content: Snapshot, questions: Questions, fresh: bool = False
) -> Answers:
    """What the image answers to `questions`; else as `facts`."""
    kept = _cached("answers", image_id, content, questions)
    if kept.exists() and not fresh:
        return cast(Answers, json.loads(kept.read_text()))
    found = cast(Answers, _run(image, content, questions))
    _keep(kept, found)
    return found


def _cached(kind: str, image_id: str, content: Snapshot, questions: Mapping[str, object]) -> Path:
    digest = hashlib.sha256(f"{image_id}\0{content.digest}\0{json.dumps(questions)}\0{SETTINGS}".encode())
    for path in sorted(PROBE.glob("*.py")):
        digest.update(path.read_bytes())
    return CACHE / "upgrade" / f"{kind}-{digest.hexdigest()[:24]}.json"


def _keep(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{uuid.uuid4().hex[:8]}")
    partial.write_text(json.dumps(value))
    partial.replace(path)


def _run(image: str, content: Snapshot, questions: Questions | None) -> Any:
    """Run the probe to its end; what it printed, parsed. The container is gone afterwards, whatever happened."""
    name = f"itest-upgrade-{uuid.uuid4().hex[:8]}"
    try:
        done = subprocess.run(
            command(name, image, questions is not None),
            input=archive(content, questions),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FactsError(f"{image} did not tell its facts within {TIMEOUT} s") from None
    finally:
        subprocess.run([engine.docker_cli(), "rm", "--force", name], capture_output=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace").strip()[-TAIL:]
        raise FactsError(f"{image} does not tell its facts (exit code {done.returncode}):\n{said}") from None


def command(name: str, image: str, asked: bool) -> list[str]:
    """The docker command: no network, nothing of the image can be written, no privileges."""
    labels = Owner.this_process().labels(name, "probe")
    arguments = [FOLDER, CONTENT_DIR, *([f"{FOLDER}/questions.json"] if asked else [])]
    return [
        *(engine.docker_cli(), "run", "--rm", "--interactive", "--name", name),
        *(f"--label={key}={value}" for key, value in labels.items()),
        *("--network", "none", "--read-only", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--memory", MEMORY, "--user", "50000:0"),
        *("--tmpfs", f"{FOLDER.rpartition('/')[0]}:mode=1777", "--tmpfs", f"{CONTENT_DIR}:mode=1777"),
        *(f"--env={key}={value}" for key, value in SETTINGS.items()),
        *("--entrypoint", "python", image, "-c", UNPACK, *arguments),
    ]


def archive(content: Snapshot, questions: Questions | None) -> bytes:
    """What the container is given: the probe, content, and what it is asked."""
    files = {f"{FOLDER}/probe/{path.name}": path.read_bytes() for path in sorted(PROBE.glob("*.py"))}
    files |= {f"{CONTENT_DIR}/{path}": data for path, data in content.files.items()}
    if questions is not None:
        files[f"{FOLDER}/questions.json"] = json.dumps(questions).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(data)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()
