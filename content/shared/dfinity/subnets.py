"""Subnets as the registry lists them, and the short names that people give them."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfinity.production import REGISTRY_SUBNETS_URL
from dfinity.web import MalformedAnswerError, Query


@dataclass(frozen=True)
class Subnet:
    """A subnet as the registry describes it; `replica_version_id` is the revision it is set to run."""

    subnet_id: str
    replica_count: int
    replica_version_id: str


def abbreviate(subnet_id: str) -> str:
    """The first group of a principal, which is how people call a subnet: `io67a`."""
    return subnet_id.split("-", 1)[0]


def find_subnet(name: str, subnets: Sequence[Subnet]) -> Subnet:
    """The subnet whose principal, or whose principal's first group, is `name`.

    Raises LookupError, with a message for the author of the plan, for an unknown or an ambiguous name.
    """
    found = [s for s in subnets if name in (s.subnet_id, abbreviate(s.subnet_id))]
    if not found:
        raise LookupError(f"the registry has no subnet {name}; correct the name or remove it from the plan")
    if len(found) > 1:
        raise LookupError(f"{name} stands for {len(found)} subnets; write the full principal")
    return found[0]


def all_subnets() -> Query[list[Subnet]]:
    """Asks the registry for every subnet of mainnet."""
    return Query(REGISTRY_SUBNETS_URL, {}, _parse_subnets)


def _parse_subnets(answer: object) -> list[Subnet]:
    if not isinstance(answer, list):
        raise MalformedAnswerError("the registry's answer is not a list of subnets")
    return [
        Subnet(str(item["subnet_id"]), int(item["replica_count"]), str(item["replica_version_id"]))
        for item in answer
    ]
