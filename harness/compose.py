"""`to_compose`: what the files in ``compose/`` are generated from.

Stack-specific values stay variables: compose takes them from the environment file that `itest up` writes.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from harness import labels
from harness.images import DatabaseKind
from harness.topology import PLACEHOLDER, SANDBOX_CAPABILITIES, Healthcheck, Service, Topology

HEADER = """\
# Generated from the topology `{name}`, database {kind}, by `make compose`; lint fails when it differs. Do not edit.
# `itest up --compose` starts it: the variables are written by `itest up` to .itest/compose/<stack>/env.
"""

MISSING = "start this with scripts/itest up --compose"
BOOT_INTERVAL = 5
"""Seconds between the health checks under compose of what others wait for at its boot. The engine of Debian 12 knows
no shorter interval for the start."""
LAST_INTERVAL = 15
"""The same of what nobody but the harness waits for: half of all checks, and the ones that take most."""


def image_variable(key: str) -> str:
    """The variable that names the image of `key`, such as ``ITEST_IMAGE_GIT_ORIGIN``."""
    return "ITEST_IMAGE_" + key.upper().replace("-", "_")


def variables(topology: Topology) -> tuple[str, ...]:
    """All variables that the compose file of `topology` needs, sorted."""
    network = {"ITEST_STACK", "ITEST_SUBNET", "ITEST_DNS_ADDRESS", "ITEST_BIND_ADDRESS", "ITEST_OWNER_HOST"}
    return tuple(sorted(network | set(topology.settings()) | {image_variable(k) for k in topology.images()}))


def _required(name: str) -> str:
    return f"${{{name}:?{MISSING}}}"


def _text(text: str) -> str:
    """Escape what compose would interpolate, and turn placeholders into required variables."""
    pieces = re.split(f"({PLACEHOLDER.pattern})", text)
    # re.split yields: text, whole placeholder, its name, text, ...
    out = []
    for index, piece in enumerate(pieces):
        if index % 3 == 0:
            out.append(piece.replace("$", "$$"))
        elif index % 3 == 2:
            out.append(_required(piece))
    return "".join(out)


def _healthcheck(check: Healthcheck, interval: int) -> dict[str, Any]:
    return {
        "test": ["CMD", *map(_text, check.command)],
        "interval": f"{interval}s",
        "timeout": f"{check.timeout}s",
        "retries": check.retries,
        "start_period": f"{check.boot_deadline}s",
    }


CONDITIONS = {
    "started": "service_started",
    "healthy": "service_healthy",
    "completed": "service_completed_successfully",
}


def _network(service: Service) -> dict[str, Any]:
    if service.network_of:
        return {"network_mode": f"service:{service.network_of}"}
    return {"hostname": service.hostname or service.name, "networks": _networks(service)}


def _networks(service: Service) -> dict[str, Any]:
    inside: dict[str, Any] = {}
    if service.aliases:
        inside["aliases"] = [_text(alias) for alias in service.aliases]
    if service.fixed_address:
        inside["ipv4_address"] = _required("ITEST_DNS_ADDRESS")
    return {"stack": inside or None, **({"edge": None} if service.edge else {})}


def _labels(service: str | None = None) -> dict[str, str]:
    owner = labels.Owner(labels.KEPT, "", _required("ITEST_OWNER_HOST"))
    return owner.labels(_required("ITEST_STACK"), service)


def _service(service: Service, waited_for: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "image": _required(image_variable(service.image)),
        "container_name": f"{_required('ITEST_STACK')}-{service.name}",
        "init": not service.sandbox,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pull_policy": "missing",
        "restart": "no",
        "stop_grace_period": f"{service.stop_grace}s",
        "labels": _labels(service.name),
        "mem_limit": f"{service.memory}m",
        "memswap_limit": f"{service.memory}m",
        "cpu_shares": service.cpu_shares,
        **_network(service),
    }
    if service.command:
        out["command"] = [_text(part) for part in service.command]
    if service.environment:
        out["environment"] = {name: _text(value) for name, value in sorted(service.environment.items())}
    if service.mounts:
        out["volumes"] = [f"{m.volume}:{m.target}" + (":ro" if m.read_only else "") for m in service.mounts]
    if service.healthcheck:
        out["healthcheck"] = _healthcheck(service.healthcheck, BOOT_INTERVAL if waited_for else LAST_INTERVAL)
    if service.after:
        out["depends_on"] = {a.service: {"condition": CONDITIONS[a.condition]} for a in service.after}
    if service.published_ports:
        out["ports"] = [f"{_required('ITEST_BIND_ADDRESS')}::{port}" for port in service.published_ports]
    if service.sandbox:
        out["cap_add"] = list(SANDBOX_CAPABILITIES)
        out["dns"] = [_required("ITEST_DNS_ADDRESS")]
    return out


def to_compose(topology: Topology) -> dict[str, Any]:
    """The compose file of `topology` as plain data."""
    services = topology.services()
    waited_for = {after.service for service in services for after in service.after}
    return {
        "name": _required("ITEST_STACK"),
        "services": {service.name: _service(service, service.name in waited_for) for service in services},
        "networks": {
            "stack": {
                "name": f"{_required('ITEST_STACK')}-stack",
                "internal": True,
                "ipam": {"config": [{"subnet": _required("ITEST_SUBNET")}]},
                "labels": _labels(),
            },
            "edge": {"name": f"{_required('ITEST_STACK')}-edge", "labels": _labels()},
        },
        "volumes": {
            volume: {"name": f"{_required('ITEST_STACK')}-{volume}", "labels": _labels()}
            for volume in topology.volumes()
        },
    }


def render(topology: Topology, kind: DatabaseKind) -> str:
    """The text of ``compose/<topology>.<kind>.yaml``."""
    data = to_compose(topology)
    return HEADER.format(name=topology.name, kind=kind) + yaml.safe_dump(data, sort_keys=False, width=110)
