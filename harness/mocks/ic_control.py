"""The control API's part about the Internet Computer: registry, life cycles, alerts, decisions."""

from dataclasses import asdict, fields, replace
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Request, Response

from harness.mocks.control_parts import clearing, done, list_of
from harness.mocks.fakes import World
from harness.mocks.ic_models import Alert, LifeCycle, Node, Outcome, Refused, Subnet
from harness.mocks.wsgi import Route, json_object, json_response

DECISIONS = {"accept": Outcome.EXECUTED, "fail": Outcome.FAILED, "reject": Outcome.REJECTED}


def ic_routes() -> list[Route]:
    """Routes whose handlers take (world, request)."""
    return [
        ("GET", "/ic/registry", lambda world, _: json_response(world.ic.subnets())),
        ("PUT", "/ic/registry", _set_registry),
        ("GET", "/ic/nodes", lambda world, _: json_response(world.ic.nodes())),
        ("PUT", "/ic/nodes", _set_nodes),
        ("PUT", "/ic/settings", _set_life_cycle),
        ("PUT", "/ic/alerts", _set_alerts),
        ("POST", "/ic/alerts", _raise_alert),
        ("DELETE", "/ic/alerts/<subnet_id>/<alertname>", _clear_alert),
        ("GET", "/ic/proposals", lambda world, _: json_response(world.ic.proposals())),
        ("GET", "/ic/admin-calls", lambda world, _: json_response(world.ic.admin_calls())),
        ("POST", "/ic/proposals/<int:proposal_id>/<decision>", _decide),
        ("DELETE", "/ic", clearing(lambda world: world.ic.reset())),
    ]


def _subnet(item: dict[str, Any]) -> Subnet:
    kinds = {"subnet_id": str, "replica_count": int, "subnet_type": str, "replica_version_id": str}
    wrong = [name for name, kind in kinds.items() if type(item.get(name)) is not kind]
    if wrong:
        raise BadRequest(f"subnet {item.get('subnet_id')!r}: missing or malformed {', '.join(wrong)}")
    if item["replica_count"] < 1:
        raise BadRequest(f"subnet {item['subnet_id']}: replica_count must be at least 1")
    return Subnet(**{name: item[name] for name in kinds})


def _node(item: dict[str, Any]) -> Node:
    kinds: dict[str, type | tuple[type, ...]] = {
        "node_id": str,
        "subnet_id": (str, type(None)),
        "is_api_boundary_node": bool,
        "guestos_version_id": str,
        "hostos_version_id": str,
    }
    wrong = [name for name, kind in kinds.items() if name not in item or not isinstance(item[name], kind)]
    if wrong or not isinstance(item.get("stuck", False), bool):
        raise BadRequest(
            f"node {item.get('node_id')!r}: missing or malformed {', '.join(wrong or ['stuck'])}"
        )
    return Node(**{name: item[name] for name in kinds}, stuck=item.get("stuck", False))


def _alert(item: Any) -> Alert:
    """An alert given by its name, or as {"alertname", "severity"}."""
    if isinstance(item, str) and item:
        return Alert(item)
    if not isinstance(item, dict) or not set(item) <= {"alertname", "severity"}:
        raise BadRequest(f"{item!r} is neither an alert's name nor {{alertname, severity}}")
    if not item.get("alertname") or not all(isinstance(value, str) for value in item.values()):
        raise BadRequest(f"{item!r}: alertname and severity must be text")
    return Alert(**item)


def _set_registry(world: World, request: Request) -> Response:
    subnets = [_subnet(item) for item in list_of(json_object(request), "subnets", dict)]
    ids = [subnet.subnet_id for subnet in subnets]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise BadRequest(f"subnet given twice: {', '.join(twice)}")
    world.ic.set_registry(subnets)
    return done()


def _set_nodes(world: World, request: Request) -> Response:
    nodes = [_node(item) for item in list_of(json_object(request), "nodes", dict)]
    ids = [node.node_id for node in nodes]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise BadRequest(f"node given twice: {', '.join(twice)}")
    world.ic.set_nodes(nodes)
    return done()


def _set_life_cycle(world: World, request: Request) -> Response:
    body = json_object(request)
    known = {field.name for field in fields(LifeCycle)}
    if set(body) - known:
        raise BadRequest(f"unknown setting {', '.join(sorted(set(body) - known))}; known: {sorted(known)}")
    for name, value in body.items():
        if name == "auto":
            if not isinstance(value, bool):
                raise BadRequest("'auto' must be true or false")
        elif name == "outcome":
            if value not in set(Outcome):
                raise BadRequest(f"'outcome' must be one of {', '.join(Outcome)}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise BadRequest(f"{name!r} must be a number of seconds, not negative")
    if "outcome" in body:
        body["outcome"] = Outcome(body["outcome"])
    return done(asdict(world.ic.set_life_cycle(body)))


def _set_alerts(world: World, request: Request) -> Response:
    body = json_object(request)
    alerts = [_alert(item) for item in list_of(body, "alerts", object)]
    try:
        world.ic.set_alerts(str(body.get("subnet_id", "")), alerts)
    except Refused as error:
        raise BadRequest(str(error)) from error
    return done()


def _raise_alert(world: World, request: Request) -> Response:
    body = json_object(request)
    lasts = body.pop("lasts", None)
    if lasts is not None and (isinstance(lasts, bool) or not isinstance(lasts, int | float) or lasts <= 0):
        raise BadRequest("'lasts' must be a number of seconds, more than 0, or null")
    subnet_id = str(body.pop("subnet_id", ""))
    alert = replace(_alert(body), ends_at=None if lasts is None else world.ic.now() + lasts)
    try:
        world.ic.raise_alert(subnet_id, alert)
    except Refused as error:
        raise BadRequest(str(error)) from error
    return done()


def _clear_alert(world: World, _request: Request, subnet_id: str, alertname: str) -> Response:
    try:
        world.ic.clear_alert(subnet_id, alertname)
    except Refused as error:
        raise NotFound(str(error)) from error
    return done()


def _decide(world: World, _request: Request, proposal_id: int, decision: str) -> Response:
    if decision not in DECISIONS:
        raise NotFound(f"a proposal can be decided by {', '.join(DECISIONS)}, not by {decision!r}")
    try:
        return json_response(world.ic.decide(proposal_id, DECISIONS[decision]))
    except KeyError as error:
        raise NotFound(f"no proposal {proposal_id}") from error
    except Refused as error:
        raise Conflict(str(error)) from error
