"""Nodes as the registry lists them."""

from dataclasses import dataclass

from dfinity.production import REGISTRY_NODES_URL
from dfinity.web import MalformedAnswerError, Query


@dataclass(frozen=True)
class Node:
    """A node and the versions that the registry sets for it; `subnet_id` is None for one that is in no subnet."""

    node_id: str
    subnet_id: str | None
    is_api_boundary: bool
    guestos_version: str
    hostos_version: str

    @property
    def is_unassigned(self) -> bool:
        """Whether it is neither in a subnet nor an API boundary node."""
        return self.subnet_id is None and not self.is_api_boundary


def abbreviate_node(node_id: str) -> str:
    """The first group of a node's principal, which is how people call a node."""
    return node_id.split("-", 1)[0]


def all_nodes() -> Query[list[Node]]:
    """Asks the registry for every node of mainnet."""
    return Query(REGISTRY_NODES_URL, {}, _parse_nodes)


def _parse_nodes(answer: object) -> list[Node]:
    if not isinstance(answer, list):
        raise MalformedAnswerError("the registry's answer is not a list of nodes")
    return [
        Node(
            node_id=str(item["node_id"]),
            subnet_id=item["subnet_id"] and str(item["subnet_id"]),
            is_api_boundary=bool(item["is_api_boundary_node"]),
            guestos_version=str(item["guestos_version_id"]),
            hostos_version=str(item["hostos_version_id"]),
        )
        for item in answer
    ]
