"""The stack's closed network: its addresses, and making calls out of it fail at once."""

from __future__ import annotations

import random
from ipaddress import IPv4Network

import docker
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.network import Network

TEST_RANGE = IPv4Network("198.18.0.0/15")
"""Set aside for tests between networks (RFC 2544), so no company network or VPN uses it."""

ATTEMPTS = 20


def candidate() -> IPv4Network:
    """A /24 of the test range, drawn by chance."""
    return random.choice(list(TEST_RANGE.subnets(new_prefix=24)))  # noqa: S311 - not a secret


def dns_address(subnet: IPv4Network) -> str:
    """The stack's one known address: the last usable one, as engines hand out addresses from the first."""
    return str(subnet.broadcast_address - 1)


def taken_subnets(client: docker.DockerClient) -> list[IPv4Network]:
    """The IPv4 subnets of all networks on the engine."""
    configs = [c for n in client.networks.list() for c in (n.attrs.get("IPAM") or {}).get("Config") or ()]
    return [IPv4Network(c["Subnet"], strict=False) for c in configs if "." in c.get("Subnet", "")]


def free_subnet(client: docker.DockerClient) -> IPv4Network:
    """A /24 that no network on the engine uses now; raises `RuntimeError` when chance finds none."""
    taken = taken_subnets(client)
    for _ in range(ATTEMPTS):
        subnet = candidate()
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise RuntimeError(f"no free /24 in {TEST_RANGE}; remove networks with `docker network prune`")


def closed_network(
    client: docker.DockerClient, name: str, labels: dict[str, str]
) -> tuple[Network, IPv4Network]:
    """Create the stack's internal network; another stack may take the same subnet first, so try again."""
    for attempt in range(ATTEMPTS):
        subnet = free_subnet(client)
        pool = IPAMPool(subnet=str(subnet))
        options = {"internal": True, "ipam": IPAMConfig(pool_configs=[pool]), "labels": labels}
        try:
            return named_network(name, options), subnet
        except APIError as error:
            if "overlaps" not in str(error) or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def existing_subnet(client: docker.DockerClient, name: str) -> IPv4Network | None:
    """The subnet of the network of that very name; None where there is no such network."""
    for network in client.networks.list(names=[name]):  # also those whose names only contain it
        if network.name == name:
            return IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])
    return None


def named_network(name: str, options: dict[str, object]) -> Network:
    """A testcontainers network under a name of our own."""
    network = Network(docker_network_kw=options)
    network.name = name
    return network.create()
