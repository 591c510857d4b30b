"""The gateway: the test driver's one way into the stack's closed network, and nobody's way out of it.

Engines ignore published ports on an internal network, so the gateway stands on two networks and forwards TCP
inward. Only the listed ports exist; Airflow itself is never on a network that leads out.
"""

from __future__ import annotations

from harness.topology import Service

NAME = "gateway"
FIRST_PORT = 10000
"""Ports the gateway listens on inside its container are numbered from here; the host's are ephemeral."""


def forwards(services: tuple[Service, ...]) -> dict[tuple[str, int], int]:
    """(service, port) -> the gateway's own port, for each forwarded port of `services`, in order."""
    wanted = [(s.name, port) for s in services for port in s.forwarded_ports]
    return {target: FIRST_PORT + index for index, target in enumerate(wanted)}


def gateway(services: tuple[Service, ...]) -> Service:
    table = forwards(services)
    listed = " ".join(f"{port}={name}:{target}" for (name, target), port in table.items())
    return Service(
        name=NAME,
        image="gateway",
        memory=64,
        environment={"FORWARDS": listed},
        published_ports=tuple(table.values()),
        edge=True,
    )
