"""Prometheus' instant query (as VictoriaMetrics serves it) over the state of the Internet Computer.

Grammar: `METRIC{label="value",label!="value"}` and `sum by (L1,L2) (METRIC{...})`. Everything else, unknown metrics
and unknown labels included, is answered 422: an empty result would read as "no alerts".
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.ic_state import InternetComputer
from harness.mocks.wsgi import Router, json_response

QUERY_PATH = "/select/0/prometheus/api/v1/query"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SUM = re.compile(
    rf"\s*sum\s+by\s*\(\s*(?P<labels>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*\((?P<selector>.*)\)\s*"
)
_SELECTOR = re.compile(rf"\s*(?P<metric>{_NAME})\s*(?:\{{(?P<matchers>.*)\}})?\s*")
_MATCHER = re.compile(
    rf'\s*(?P<label>{_NAME})\s*(?P<operator>!=|=)\s*"(?P<value>(?:[^"\\]|\\["\\])*)"\s*(?:,|$)'
)
LABELS = {
    "ic_replica_info": ("ic_subnet", "ic_active_version"),
    "guestos_version": ("ic_node", "version"),
    "hostos_version": ("ic_node", "version"),
    "ALERTS": ("ic_subnet", "ic_node", "alertname", "severity", "alertstate"),
}

Sample = tuple[Mapping[str, str], int]


class QueryError(ValueError):
    """The query is outside the grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Query:
    """`by` is None for a plain selector. Matchers are (label, is equal, value)."""

    metric: str
    matchers: tuple[tuple[str, bool, str], ...]
    by: tuple[str, ...] | None = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is selected; a label it lacks counts as empty."""
        return all((labels.get(label, "") == value) is equal for label, equal, value in self.matchers)


def parse(text: str) -> Query:
    """Read one query. Raises QueryError."""
    aggregated = _SUM.fullmatch(text)
    by = tuple(re.findall(_NAME, aggregated["labels"])) if aggregated else None
    selector = _SELECTOR.fullmatch(aggregated["selector"] if aggregated else text)
    if selector is None:
        raise QueryError(
            f"cannot parse {text!r}: only METRIC{{...}} and sum by (...) (METRIC{{...}}) are known"
        )
    metric = selector["metric"]
    if metric not in LABELS:
        raise QueryError(f"unknown metric {metric!r}; known: {', '.join(LABELS)}")
    query = Query(metric, _matchers(selector["matchers"] or ""), by)
    for label in (*(matcher[0] for matcher in query.matchers), *(by or ())):
        if label not in LABELS[metric]:
            raise QueryError(f"metric {metric} has no label {label!r}; it has {', '.join(LABELS[metric])}")
    return query


def _matchers(text: str) -> tuple[tuple[str, bool, str], ...]:
    matchers, position = [], 0
    while text[position:].strip():
        match = _MATCHER.match(text, position)
        if match is None:
            raise QueryError(f"cannot parse the matchers {text!r} from {text[position:]!r}")
        value = re.sub(r"\\(.)", r"\1", match["value"])
        matchers.append((match["label"], match["operator"] == "=", value))
        position = match.end()
    return tuple(matchers)


def evaluate(query: Query, samples: list[Sample]) -> list[Sample]:
    """The result's series: as selected (with their name), or summed by labels (without)."""
    selected = [(labels, value) for labels, value in samples if query.matches(labels)]
    if query.by is None:
        return [({"__name__": query.metric, **labels}, value) for labels, value in selected]
    sums: dict[tuple[tuple[str, str], ...], int] = defaultdict(int)
    for labels, value in selected:
        # A label that a series lacks is left out of the sum's labels, too.
        sums[tuple((label, labels[label]) for label in query.by if label in labels)] += value
    return [(dict(key), value) for key, value in sums.items()]


class Prometheus:
    """The query endpoint, by GET or form POST."""

    def __init__(self, ic: InternetComputer) -> None:
        self._ic = ic
        self._series: dict[str, Callable[[], list[Sample]]] = {
            "ic_replica_info": self._replicas,
            "guestos_version": lambda: self._nodes(hostos=False),
            "hostos_version": lambda: self._nodes(hostos=True),
            "ALERTS": self._alerts,
        }
        self.app = Router([("GET", QUERY_PATH, self._query), ("POST", QUERY_PATH, self._query)], _http_error)

    def _query(self, request: Request) -> Response:
        unknown = sorted(set(request.values) - {"query"})
        try:
            if unknown:
                raise QueryError(f"parameters that are not known here: {', '.join(unknown)}")
            query = parse(request.values.get("query", ""))
        except QueryError as error:
            return json_response({"status": "error", "errorType": "bad_data", "error": str(error)}, 422)
        now = round(self._ic.now(), 3)
        series = evaluate(query, self._series[query.metric]())
        result = [{"metric": dict(labels), "value": [now, str(value)]} for labels, value in series]
        return json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _replicas(self) -> list[Sample]:
        return [
            ({"ic_subnet": subnet, "ic_active_version": version}, count)
            for subnet, version, count in self._ic.replicas()
        ]

    def _nodes(self, *, hostos: bool) -> list[Sample]:
        return [
            ({"ic_node": node, "version": version}, 1)
            for node, version in self._ic.node_versions(hostos=hostos)
        ]

    def _alerts(self) -> list[Sample]:
        samples: list[Sample] = []
        for name, alert in self._ic.alerts():
            whose = {"ic_node" if self._ic.is_node(name) else "ic_subnet": name}
            what = {"alertname": alert.alertname, "severity": alert.severity, "alertstate": "firing"}
            samples.append(({**whose, **what}, 1))
        return samples


def _http_error(error: HTTPException) -> Response:
    body = {"status": "error", "errorType": "bad_data", "error": error.description}
    return json_response(body, error.code or 500)
