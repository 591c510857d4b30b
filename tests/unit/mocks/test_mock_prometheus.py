"""The mocked Prometheus: the grammar it knows, and that it refuses the rest."""

from typing import Any

import httpx
import pytest

from harness.mocks.prometheus import QueryError, parse
from harness.mocks.readers import MocksControl, MocksRefusedError

from .conftest import OLD_VERSION, SUBNET, Running

QUERY = "https://victoria.mainnet.dfinity.network/select/0/prometheus/api/v1/query"


def ask(query: str) -> list[tuple[dict[str, str], str]]:
    answer = httpx.post(QUERY, data={"query": query}).json()
    assert answer == httpx.get(QUERY, params={"query": query}).json() | {"data": answer["data"]}
    assert answer["data"]["resultType"] == "vector"
    return [(item["metric"], item["value"][1]) for item in answer["data"]["result"]]


def test_replicas_are_counted_by_version(
    production_names: Running, mocks: MocksControl, registry: list[dict[str, Any]]
) -> None:
    found = ask(f'sum by (ic_subnet, ic_active_version) (ic_replica_info{{ic_subnet="{SUBNET}"}})')
    assert found == [({"ic_subnet": SUBNET, "ic_active_version": OLD_VERSION}, "13")]


def test_a_sum_adds_all_that_its_labels_do_not_tell_apart(
    production_names: Running, mocks: MocksControl, registry: list[dict[str, Any]]
) -> None:
    total = sum(subnet["replica_count"] for subnet in registry if subnet["subnet_id"] != SUBNET)
    versions = {subnet["replica_version_id"] for subnet in registry if subnet["subnet_id"] != SUBNET}
    found = ask(f'sum by (ic_active_version) (ic_replica_info{{ic_subnet!="{SUBNET}"}})')
    assert {labels["ic_active_version"] for labels, _ in found} == versions
    assert sum(int(value) for _, value in found) == total


def test_an_alert_is_there_while_it_fires(
    production_names: Running, mocks: MocksControl, registry: list[dict[str, Any]]
) -> None:
    query = f'ALERTS{{ic_subnet="{SUBNET}",alertstate="firing",severity!="info"}}'
    assert ask(query) == []
    mocks.ic.set_alerts(SUBNET, ["IC_Subnet_Stuck", {"alertname": "Noise", "severity": "info"}])
    ((labels, value),) = ask(query)
    assert (labels["alertname"], labels["__name__"], value) == ("IC_Subnet_Stuck", "ALERTS", "1")
    mocks.ic.set_alerts(SUBNET, [])
    assert ask(query) == []


def test_an_alert_of_an_unknown_subnet_is_a_mistake_of_the_test(mocks: MocksControl) -> None:
    with pytest.raises(MocksRefusedError, match="not in the registry"):
        mocks.ic.set_alerts("nowhere", ["x"])


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ALERTS[5m]",
        'rate(ic_replica_info{ic_subnet="x"}[5m])',
        "sum(ic_replica_info) by (ic_subnet)",
        'ALERTS{ic_subnet=~"a|b"}',
        'ALERTS{ic_subnet="a"',
        'ALERTS{ic_subnet="a" alertname="b"}',
        'ALERT{ic_subnet="a"}',
        'ALERTS{subnet="a"}',
        "sum by (alert) (ALERTS)",
    ],
)
def test_what_the_grammar_does_not_know_is_refused_not_empty(
    production_names: Running, mocks: MocksControl, query: str
) -> None:
    with pytest.raises(QueryError):
        parse(query)
    answer = httpx.get(QUERY, params={"query": query})
    assert (answer.status_code, answer.json()["errorType"]) == (422, "bad_data")


def test_a_parameter_that_is_not_modelled_is_refused(production_names: Running, mocks: MocksControl) -> None:
    answer = httpx.get(QUERY, params={"query": "ALERTS", "time": "1"})
    assert answer.status_code == 422


def test_white_space_trailing_commas_and_escapes_are_read() -> None:
    query = parse('sum by ( ic_subnet ) ( ALERTS { alertname = "a\\"b\\\\c" , } )')
    assert query.matchers == (("alertname", True, 'a"b\\c'),)
    assert query.by == ("ic_subnet",)
