"""What Prometheus knows about versions and alerts, of subnets and of nodes."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

from dfinity.production import PROMETHEUS_QUERY_URL
from dfinity.web import MalformedAnswerError, Query

T = TypeVar("T")
Sample = tuple[Mapping[str, str], float]


def replicas_by_revision(subnet_id: str) -> Query[dict[str, int]]:
    """Asks how many replicas of the subnet report each revision: `{revision: replicas}`."""
    promql = f'sum by (ic_subnet,ic_active_version) (ic_replica_info{{ic_subnet="{subnet_id}"}})'
    return _instant(promql, lambda samples: {m["ic_active_version"]: round(value) for m, value in samples})


def firing_alerts(subnet_id: str) -> Query[list[str]]:
    """Asks for the names of the alerts that fire for the subnet, of any severity, sorted."""
    promql = f'sum by (ic_subnet,alertname) (ALERTS{{ic_subnet="{subnet_id}",alertstate="firing"}})'
    return _instant(promql, lambda samples: sorted(m["alertname"] for m, _ in samples))


def node_versions(metric: str) -> Query[dict[str, set[str]]]:
    """Asks which versions each node reports: `{node: versions}`; `metric` is guestos_version or hostos_version.

    Of all nodes: those of one wave would not fit into a URL.
    """
    return _instant(f"sum by (ic_node,version) ({metric})", lambda samples: _by_node(samples, "version"))


def node_alerts() -> Query[dict[str, set[str]]]:
    """Asks for the names of the alerts that fire for each node, of any severity: `{node: alerts}`."""
    promql = 'sum by (ic_node,alertname) (ALERTS{ic_node!="",alertstate="firing"})'
    return _instant(promql, lambda samples: _by_node(samples, "alertname"))


def _by_node(samples: list[Sample], label: str) -> dict[str, set[str]]:
    values: dict[str, set[str]] = defaultdict(set)
    for labels, value in samples:
        if value:
            values[labels["ic_node"]].add(labels[label])
    return dict(values)


def _instant(promql: str, read: Callable[[list[Sample]], T]) -> Query[T]:
    return Query(PROMETHEUS_QUERY_URL, {"query": promql}, lambda answer: read(_parse_vector(answer)))


def _parse_vector(answer: object) -> list[Sample]:
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise MalformedAnswerError("Prometheus did not answer success")
    data = answer["data"]
    if data["resultType"] != "vector":
        raise MalformedAnswerError(f"Prometheus answered a {data['resultType']}, not a vector")
    return [(item["metric"], float(item["value"][1])) for item in data["result"]]
