"""Google's discovery documents, as google-api-python-client ships them, applied strictly: no field may be unknown."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient

from harness.mocks.exchanges import Exchange
from tests.contract.schemas.judgement import Judgement, broken, untyped

DOCUMENTS = {"google_sheets": "sheets.v4", "google_drive": "drive.v3"}
TYPES = {
    "any": {},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "number": {"type": "number"},
}
AS_TEXT = ("int64", "uint64")
"""Integers of 64 bits are JSON strings (discovery document, "Type and format summary")."""
ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "status": {"type": "string", "pattern": "^[A-Z_]+$"},
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["domain", "reason", "message"],
                        "additionalProperties": {"type": "string"},
                    },
                },
            },
        }
    },
}
"""https://docs.cloud.google.com/apis/design/errors and, for `errors`, Drive's "Resolve errors"."""


@cache
def document(name: str) -> Mapping[str, Any]:
    path = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / f"{name}.json"
    return json.loads(path.read_text())  # type: ignore[no-any-return]


@cache
def definitions(name: str) -> Mapping[str, Any]:
    """The document's schemas as JSON schemas."""
    return {key: _json_schema(value) for key, value in document(name)["schemas"].items()}


def _json_schema(given: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in given:
        return {"$ref": f"#/$defs/{given['$ref']}"}
    kind = given.get("type", "any")
    if kind == "array":
        return {"type": "array", "items": _json_schema(given["items"])}
    if kind == "object":
        more = given.get("additionalProperties")
        return {
            "type": "object",
            "properties": {key: _json_schema(value) for key, value in given.get("properties", {}).items()},
            "additionalProperties": _json_schema(more) if more else False,
        }
    if kind == "integer":
        return {"type": "integer"}
    schema = dict(TYPES[kind])
    if "enum" in given:
        schema["enum"] = given["enum"]
    if given.get("format") in AS_TEXT:
        schema["pattern"] = r"^-?\d+$"
    return schema


def judge(exchange: Exchange) -> Judgement:
    name = DOCUMENTS[exchange.service]
    label = f"discovery document {name.replace('.', ' ')}"
    method = _method(name, exchange)
    if method is None:
        return untyped(label, f"{exchange.method} {exchange.path}")
    faults = _query_faults(name, method, exchange)
    if (
        isinstance(exchange.request, dict)
        and "bytes" not in exchange.request
        and "text" not in exchange.request
    ):
        faults += _body_faults(name, method.get("request"), exchange.request, "request")
    return Judgement(method["id"], label, tuple(faults + _response_faults(name, method, exchange)))


def _response_faults(name: str, method: Mapping[str, Any], exchange: Exchange) -> list[str]:
    if exchange.status >= 400:
        return broken(exchange.response, ERROR, "error")
    if exchange.query.get("alt") == ["media"]:
        return [] if method.get("supportsMediaDownload") else ["it answers a file, the document knows none"]
    if exchange.response is None:
        beginning = (
            exchange.query.get("uploadType") == ["resumable"] and "location" in exchange.response_headers
        )
        unfinished = exchange.status == 308
        empty = method.get("response") is None
        return [] if beginning or unfinished or empty else ["the response is empty"]
    return _body_faults(name, method.get("response"), exchange.response, "response")


def _body_faults(name: str, reference: Mapping[str, Any] | None, body: Any, where: str) -> list[str]:
    if reference is None:
        return [f"the document knows no {where}"]
    return broken(body, {**_json_schema(reference), "$defs": definitions(name)}, where)


def _methods(resources: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for resource in resources.values():
        found += resource.get("methods", {}).values()
        found += _methods(resource.get("resources", {}))
    return found


def _method(name: str, exchange: Exchange) -> Mapping[str, Any] | None:
    """The document's method that the exchange is a call of. A literal path comes before one with a variable."""
    base = "/" + document(name)["servicePath"]
    found = []
    for method in _methods(document(name)["resources"]):
        paths = [base + method.get("flatPath", method["path"])]
        if method.get("supportsMediaUpload"):
            paths += [protocol["path"] for protocol in method["mediaUpload"]["protocols"].values()]
        for path in paths:
            # A range may hold a sheet's name with slashes.
            ranges = re.escape(path).replace(r"\{range\}", ".+?")
            pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+?", ranges)
            verb = exchange.method == method["httpMethod"] or _continues(exchange, path)
            if verb and re.fullmatch(pattern.replace(r"/resumable", ""), exchange.path):
                found.append((path.count("{"), -len(path), method))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _continues(exchange: Exchange, path: str) -> bool:
    """Whether it is a chunk of a resumable upload, which is put whatever the method's own verb is."""
    return exchange.method == "PUT" and "upload_id" in exchange.query and "upload" in path


def _query_faults(name: str, method: Mapping[str, Any], exchange: Exchange) -> list[str]:
    known = {**document(name)["parameters"], **method.get("parameters", {})}
    faults = []
    for key, values in exchange.query.items():
        if key in ("uploadType", "upload_id") and method.get("supportsMediaUpload"):
            continue
        if key not in known:
            faults.append(f"the document knows no query parameter {key}")
            continue
        if len(values) > 1 and not known[key].get("repeated"):
            faults.append(f"the query parameter {key} is repeated")
        allowed = known[key].get("enum", values)
        faults += [f"the query parameter {key} is {value}" for value in values if value not in allowed]
    required = [key for key, value in known.items() if value.get("required") and value["location"] == "query"]
    return faults + [f"the query parameter {key} is missing" for key in required if key not in exchange.query]
