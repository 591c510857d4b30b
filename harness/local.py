"""Airflow and content in the local environment (`.itest/airflow`), with mocks in place of the world outside.

python -m harness.local [--mirror] airflow ARGS...     Airflow's command line
python -m harness.local [--mirror] run FILE ARGS...    a file of content, by scripts/local/run_content.py

The mocks are those of the mirror, served by this process while the command runs, or with --mirror those of the mirror
that `make up` keeps. Production's host names lead to them in every Python process of the command (scripts/local/
sitecustomize.py); connections and variables come from the environment, so Airflow's database keeps none.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import prepare, seeding, warm
from harness.compose_stack import ComposeError
from harness.mocks import names
from harness.mocks.provision import CA_BUNDLE, IC_ADMIN, provision
from harness.mocks.readers import MocksControl
from harness.mocks.server import Mocks
from harness.mocks.settings import Ports, Settings
from harness.paths import ROOT, STATE
from harness.prepare import Options
from harness.services.mocks import HTTPS_PORT
from harness.settings import StackSettings
from harness.topology import SHARED_DIR
from harness.warm import WarmError

HOME = STATE / "airflow"
SITE = ROOT / "scripts" / "local"
PYTHON = HOME / "venv" / "bin" / "python"
API_BOUNDARY_NODES, UNASSIGNED_NODES = 20, 12
"""How many nodes without a subnet the mocked registry has at first."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Mocks, as a process on this machine reaches them. `ports` are where production's ports lead, by number."""

    ports: Mapping[int, tuple[str, int]]
    shared: Path
    settings: StackSettings
    mocks: MocksControl

    def environment(self) -> dict[str, str]:
        """What to add to a process's environment, so that it meets these mocks and has the credentials for them."""
        bundle = str(self.shared / CA_BUNDLE)
        mocked = {"hosts": list(names.aliases()), "ports": {str(n): where for n, where in self.ports.items()}}
        slack = {"conn_type": "slack", "password": self.settings.placeholders["ITEST_SLACK_TOKEN"]}
        keyfile = json.dumps(self.settings.google_keyfile())
        google = {
            "conn_type": "google_cloud_platform",
            "extra": {"keyfile_dict": keyfile, "scope": seeding.GOOGLE_SCOPES},
        }
        return {
            "MOCKED": json.dumps(mocked),
            "PATH": f"{(self.shared / IC_ADMIN).parent}{os.pathsep}{os.environ['PATH']}",
            **dict.fromkeys(
                ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPLIB2_CA_CERTS", "AWS_CA_BUNDLE"), bundle
            ),
            f"AIRFLOW_VAR_{seeding.PROPOSER_KEY.upper()}": self.settings.proposer_key,
            f"AIRFLOW_CONN_{seeding.SLACK.upper()}": json.dumps(slack),
            f"AIRFLOW_CONN_{seeding.GOOGLE.upper()}": json.dumps(google),
        }


@contextmanager
def own_mocks() -> Iterator[Outside]:
    """Mocks that this process serves on free ports, with mainnet's registry."""
    settings = StackSettings.generate("local")
    with tempfile.TemporaryDirectory(prefix="local-mocks-") as folder:
        served = Mocks(
            Settings(
                slack_token=settings.placeholders["ITEST_SLACK_TOKEN"],
                google_public_key=settings.placeholders["ITEST_GOOGLE_PUBLIC_KEY"],
                google_client_email=settings.placeholders["ITEST_GOOGLE_CLIENT_EMAIL"],
                shared_dir=Path(folder) / "shared",
                state_dir=Path(folder) / "state",
                listen_address="127.0.0.1",
                ports=Ports(0, 0, 0, 0, 0),
            )
        )
        served.start()
        try:
            ports = served.ports()
            with MocksControl(f"http://127.0.0.1:{ports.control}") as control:
                list_mainnet(control)
                local = {80: ("127.0.0.1", ports.http), HTTPS_PORT: ("127.0.0.1", ports.https)}
                yield Outside(local, Path(folder) / "shared", settings, control)
        finally:
            served.stop()


@contextmanager
def mirrors_mocks() -> Iterator[Outside]:
    """Those of the mirror that is kept, as they are. Raises WarmError when there is none."""
    prepared = prepare.decide(Options.from_environment())
    record = warm.find(prepared)
    if record is None:
        raise WarmError("no mirror is kept that fits; start one with: make up")
    with (
        closing(warm.wake(prepared, record)) as env,
        tempfile.TemporaryDirectory(prefix="local-mirror-") as folder,
    ):
        bundle = env.runtime.exec("mocks", ["cat", f"{SHARED_DIR}/{CA_BUNDLE}"]).output
        provision(Path(folder), bundle.encode())
        https = {HTTPS_PORT: env.runtime.address("mocks", HTTPS_PORT)}
        yield Outside(https, Path(folder), env.settings, env.mocks)


def list_mainnet(mocks: MocksControl) -> None:
    """Have the mocked registry list mainnet's subnets, and nodes for them."""
    subnets = json.loads((ROOT / "tests" / "data" / "mainnet-subnets.json").read_text())
    version = subnets[0]["replica_version_id"]
    homes = [(subnet["subnet_id"], False) for subnet in subnets for _ in range(subnet["replica_count"])]
    homes += [(None, True)] * API_BOUNDARY_NODES + [(None, False)] * UNASSIGNED_NODES
    mocks.ic.set_registry(subnets)
    mocks.ic.set_nodes(
        [
            {
                "node_id": f"node{number:04}-mock",
                "subnet_id": subnet,
                "is_api_boundary_node": is_boundary,
                "guestos_version_id": version,
                "hostos_version_id": version,
            }
            for number, (subnet, is_boundary) in enumerate(homes)
        ]
    )


def local_environment(outside: Outside | None) -> dict[str, str]:
    """The environment of a process in the local Airflow; `outside` None is the real world."""
    added = outside.environment() if outside else {}
    return {
        **os.environ,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **added,
        "PATH": os.pathsep.join([str(PYTHON.parent), added.get("PATH", os.environ["PATH"])]),
        # Content's modules are on the environment's path by a .pth file.
        **({"PYTHONPATH": str(SITE)} if outside else {}),
    }


def report(mocks: MocksControl, since: int) -> None:
    """Say what has left for the mocks since."""
    effects = mocks.ledger(since)
    print(f"\nThe mocks saw {len(effects)} side effects:" if effects else "\nThe mocks saw no side effects.")
    for effect in effects:
        detail = effect.detail.get("text") or ", ".join(f"{k} {v}" for k, v in effect.detail.items())
        print(f"  {effect.kind:<14} {effect.target}: {detail}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit code; 2 when it could not be started."""
    parser = argparse.ArgumentParser(prog="python -m harness.local", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--mirror", action="store_true", help="the mocks of the mirror that `make up` keeps")
    where.add_argument("--real", action="store_true", help="no mocks: the real world")
    parser.add_argument(
        "--prepare", type=Path, metavar="FILE", help="Python: its function prepare(mocks) is called first"
    )
    parser.add_argument("command", choices=("airflow", "run"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(argv)
    program = (
        [str(PYTHON), str(SITE / "run_content.py")]
        if given.command == "run"
        else [str(PYTHON.parent / "airflow")]
    )
    command = [*program, *given.arguments]
    if given.real:
        return subprocess.run(command, env=local_environment(None), check=False).returncode
    try:
        with mirrors_mocks() if given.mirror else own_mocks() as outside:
            if given.prepare:
                runpy.run_path(str(given.prepare))["prepare"](outside.mocks)
            journal = len(outside.mocks.journal())
            code = _run(command, local_environment(outside))
            if given.command == "run":
                report(outside.mocks, journal)
            return code
    except (WarmError, ComposeError, OSError, KeyError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Like a shell: an interrupt is for the command, and its end is waited for. SIGTERM is handed on as one."""
    with subprocess.Popen(command, env=environment) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


if __name__ == "__main__":
    sys.exit(main())
