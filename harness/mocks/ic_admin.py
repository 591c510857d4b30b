#!/usr/bin/env python3
"""Stands in for `ic-admin` in the mirror: same command line, but the proposal goes to the mocked NNS.

Standard library only: it runs with whatever Python a pod has. The key is checked to be a PEM private key and
never leaves the machine. Besides the usual trust store it trusts the bundle in the directory above its own.
"""

import argparse
import json
import re
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

TO_SUBNET = "propose-to-deploy-guestos-to-all-subnet-nodes"
TO_API_BOUNDARY = "propose-to-deploy-guestos-to-some-api-boundary-nodes"
TO_UNASSIGNED = "propose-to-deploy-guestos-to-all-unassigned-nodes"
TO_HOSTS = "propose-to-deploy-hostos-to-some-nodes"
VERSION = re.compile(r"[0-9a-f]{40}")
PEM_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\s.+?-----END \1-----", re.DOTALL)
TIMEOUT_SECONDS = 30


class Failure(Exception):
    """The command cannot be carried out; the message is for stderr."""


def parser() -> argparse.ArgumentParser:
    """The part of ic-admin's command line that content uses."""
    top = argparse.ArgumentParser(prog="ic-admin", description="Submit proposals to the NNS (stand-in).")
    top.add_argument("--nns-urls", "--nns-url", required=True, help="base URL of the NNS")
    top.add_argument("--secret-key-pem", "-s", required=True, type=Path, help="the proposer's key")
    commands = top.add_subparsers(dest="command", required=True)
    to_subnet = _proposal(commands, TO_SUBNET, "deploy a GuestOS version to all nodes of a subnet")
    to_subnet.add_argument("subnet_id", metavar="SUBNET_ID")
    to_subnet.add_argument("replica_version_id", metavar="REPLICA_VERSION_ID")
    to_boundary = _proposal(commands, TO_API_BOUNDARY, "deploy a GuestOS version to API boundary nodes")
    to_boundary.add_argument("--nodes", dest="node_ids", metavar="NODE_ID", nargs="+", required=True)
    to_boundary.add_argument("--version", dest="replica_version_id", required=True)
    to_unassigned = _proposal(commands, TO_UNASSIGNED, "deploy a GuestOS version to all unassigned nodes")
    to_unassigned.add_argument("--replica-version-id", required=True)
    to_hosts = _proposal(commands, TO_HOSTS, "deploy a HostOS version to nodes")
    to_hosts.add_argument("--hostos-version-id", dest="replica_version_id", required=True)
    to_hosts.add_argument("node_ids", metavar="NODE_ID", nargs="+")
    return top


def _proposal(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, help_text: str
) -> argparse.ArgumentParser:
    """A command with what all proposals take."""
    propose = commands.add_parser(name, help=help_text)
    propose.set_defaults(subnet_id="", node_ids=[])
    propose.add_argument("--proposer", required=True, help="neuron id")
    propose.add_argument("--proposal-title", required=True)
    propose.add_argument("--summary", required=True)
    propose.add_argument("--dry-run", action="store_true", help="print the payload, submit nothing")
    return propose


def check(arguments: argparse.Namespace) -> None:
    """Raise Failure for what the real tool refuses before it submits."""
    try:
        key = arguments.secret_key_pem.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"cannot read the key file {arguments.secret_key_pem}: {type(error).__name__}"
        ) from error
    if not PEM_KEY.search(key):
        raise Failure(f"{arguments.secret_key_pem} holds no PEM private key")
    if not arguments.proposer.isdecimal():
        raise Failure(f"the proposer {arguments.proposer!r} is not a neuron id")
    if not VERSION.fullmatch(arguments.replica_version_id):
        raise Failure(f"the version {arguments.replica_version_id!r} is not 40 hexadecimal digits")


def trust() -> ssl.SSLContext:
    """The default trust store plus the stack's own bundle, if there is one."""
    context = ssl.create_default_context()
    bundle = Path(__file__).resolve().parent.parent / "ca-bundle.pem"
    if bundle.is_file():
        context.load_verify_locations(bundle)
    return context


def submit(nns_url: str, payload: "dict[str, object]") -> "dict[str, object]":
    """POST the payload; the NNS's answer. Raises Failure."""
    if not nns_url.startswith("https://"):
        raise Failure(f"the NNS URL {nns_url} is not https")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{nns_url.rstrip('/')}/_stand_in/ic-admin",
        data=json.dumps(payload).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust()) as response:  # noqa: S310
            answer: dict[str, object] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise Failure(f"the NNS refused: {_reason(error)}") from error
    except (OSError, ValueError) as error:
        raise Failure(f"cannot reach the NNS at {nns_url}: {error}") from error


def _reason(error: urllib.error.HTTPError) -> str:
    body = error.read()
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"


def main() -> int:
    """Exit 0 with `proposal N` (or the payload of a dry run) on stdout, 1 with the reason on stderr."""
    arguments = parser().parse_args()
    payload = {
        "command": arguments.command,
        "subnet_id": arguments.subnet_id,
        "node_ids": arguments.node_ids,
        "replica_version_id": arguments.replica_version_id,
        "proposer": arguments.proposer,
        "title": arguments.proposal_title,
        "summary": arguments.summary,
        "dry_run": arguments.dry_run,
    }
    try:
        check(arguments)
        answer = submit(arguments.nns_urls, payload)
    except Failure as failure:
        print(f"ic-admin: {failure}", file=sys.stderr)
        return 1
    if arguments.dry_run:
        print(json.dumps(payload, indent=2))
    else:
        print(f"proposal {answer['proposal_id']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
