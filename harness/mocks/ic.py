"""The Internet Computer's HTTP fronts: dashboard registry, public proposals API, and the NNS behind `ic-admin`."""

from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.ic_models import Refused
from harness.mocks.ic_state import InternetComputer
from harness.mocks.ledger import Kind, note
from harness.mocks.wsgi import Router, json_object, json_response, pod_of, refuse_unknown

MAX_LIMIT = 100
STATUSES = ("OPEN", "ADOPTED", "EXECUTED", "REJECTED", "FAILED")
CALL_FIELDS = ("command", "subnet_id", "replica_version_id", "proposer", "title", "summary")


def _detail(error: HTTPException) -> Response:
    return json_response({"detail": error.description}, error.code or 500)


def _error(error: HTTPException) -> Response:
    return json_response({"error": error.description}, error.code or 500)


class Registry:
    """GET the list of subnets, and that of nodes."""

    def __init__(self, ic: InternetComputer) -> None:
        self._ic = ic
        self.app = Router(
            [
                ("GET", "/api/proxy/registry/mainnet/subnets", self._subnets),
                ("GET", "/api/proxy/registry/mainnet/nodes", self._nodes),
            ],
            _error,
        )

    def _nodes(self, request: Request) -> Response:
        refuse_unknown(request, ())
        return json_response(self._ic.nodes())

    def _subnets(self, request: Request) -> Response:
        refuse_unknown(request, ())
        return json_response(self._ic.subnets())


class Proposals:
    """GET proposals newest first, by pages, and one by its id."""

    def __init__(self, ic: InternetComputer) -> None:
        self._ic = ic
        self.app = Router(
            [
                ("GET", "/api/v3/proposals", self._list),
                ("GET", "/api/v3/proposals/<proposal_id>", self._one),
            ],
            _detail,
        )

    def _list(self, request: Request) -> Response:
        refuse_unknown(request, ("limit", "offset", "include_action_nns_function", "include_status"))
        faults: list[dict[str, Any]] = []
        limit = _number(request, "limit", MAX_LIMIT, 1, MAX_LIMIT, faults)
        offset = _number(request, "offset", 0, 0, None, faults)
        actions = set(request.args.getlist("include_action_nns_function"))
        statuses = set(request.args.getlist("include_status"))
        faults += [
            _fault("include_status", f"unknown status {status}") for status in statuses - set(STATUSES)
        ]
        if faults:
            return json_response({"detail": faults}, 422)
        found = [
            proposal
            for proposal in self._ic.proposals()
            if (not actions or proposal["action_nns_function"] in actions)
            and (not statuses or proposal["status"] in statuses)
        ]
        page = found[offset : offset + limit]
        return json_response({"data": page, "meta": {"size": len(page), "total": len(found)}})

    def _one(self, request: Request, proposal_id: str) -> Response:
        refuse_unknown(request, ())
        if not proposal_id.isdecimal():
            return json_response({"detail": [_fault("proposal_id", "not an integer", "path")]}, 422)
        try:
            return json_response(self._ic.proposal(int(proposal_id)))
        except KeyError:
            return json_response({"detail": f"proposal {proposal_id} not found"}, 404)


def _fault(name: str, message: str, where: str = "query") -> dict[str, Any]:
    return {"loc": [where, name], "msg": message, "type": "value_error"}


def _number(
    request: Request, name: str, default: int, low: int, high: int | None, faults: list[dict[str, Any]]
) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
        most = "" if high is None else f" and at most {high}"
        faults.append(_fault(name, f"must be an integer, at least {low}{most}"))
        return default
    return int(text)


class Nns:
    """Where the `ic-admin` stand-in submits, in place of the ingress messages that the real one signs."""

    def __init__(self, ic: InternetComputer) -> None:
        self._ic = ic
        self.app = Router([("POST", "/_stand_in/ic-admin", self._submit)], _error)

    def _submit(self, request: Request) -> Response:
        body = json_object(request)
        missing = [name for name in CALL_FIELDS if not isinstance(body.get(name), str)]
        if missing or not isinstance(body.get("dry_run"), bool):
            raise BadRequest(f"missing or malformed: {', '.join(missing) or 'dry_run'}")
        nodes = body.get("node_ids", [])
        if not isinstance(nodes, list) or not all(isinstance(node, str) for node in nodes):
            raise BadRequest("malformed: node_ids")
        call = {**{name: body[name] for name in (*CALL_FIELDS, "dry_run")}, "node_ids": nodes}
        try:
            proposal_id = self._ic.admin_call(call, pod_of(request))
        except Refused as error:
            raise BadRequest(str(error)) from error
        if proposal_id is not None:
            what = {"proposal_id": proposal_id, "replica_version_id": call["replica_version_id"]}
            if nodes:
                what["node_ids"] = nodes
            note(request, Kind.IC_PROPOSAL, call["subnet_id"] or call["command"], **what)
        return json_response({"proposal_id": proposal_id})
