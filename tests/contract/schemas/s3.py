"""botocore's model of S3: which operation an exchange is, and whether its answer has that operation's output shape."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

from botocore.model import OperationModel, ServiceModel, Shape
from botocore.session import Session

from harness.mocks.exchanges import Exchange
from harness.mocks.names import S3_HOST
from tests.contract.schemas.judgement import Judgement, untyped

LABEL = "botocore service model s3"
TEXTS = {
    "integer": r"-?\d+",
    "long": r"-?\d+",
    "boolean": r"true|false",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
}


@cache
def model() -> ServiceModel:
    return Session().get_service_model("s3")


def judge(exchange: Exchange) -> Judgement:
    operation = _operation(exchange)
    if operation is None:
        return untyped(LABEL, f"{exchange.method} {exchange.path}")
    if exchange.status >= 400:
        faults = list(_error_faults(exchange))
    else:
        faults = [*_header_faults(operation, exchange), *_body_faults(operation, exchange)]
    return Judgement(operation.name, LABEL, tuple(faults))


def _operation(exchange: Exchange) -> OperationModel | None:
    """The operation with the verb and the path, of which the exchange has most required parts."""
    found = []
    for name in set(model().operation_names) - SUPERSEDED:
        operation = model().operation_model(name)
        template, _, static = operation.http["requestUri"].partition("?")
        query = {**parse_qs(static, keep_blank_values=True), **_required(operation, "querystring")}
        headers = _required(operation, "header")
        has_query = all(
            key in exchange.query and values in ([""], [], exchange.query[key])
            for key, values in query.items()
        )
        same_path = operation.http["method"] == exchange.method and template.count("{") == _depth(exchange)
        if same_path and has_query and headers.keys() <= exchange.request_headers.keys():
            found.append((len(query) + len(headers), name))
    return model().operation_model(max(found)[1]) if found else None


SUPERSEDED = {"ListObjects", "ListDirectoryBuckets", "WriteGetObjectResponse"}
"""A bucket's GET without list-type=2, which no client here sends; and operations of other hosts."""


def _depth(exchange: Exchange) -> int:
    """0 for the service, 1 for a bucket, 2 for an object, by path or by virtual host."""
    by_host = exchange.host != S3_HOST and exchange.host.endswith(f".{S3_HOST}")
    path = f"bucket{exchange.path}" if by_host else exchange.path[1:]
    bucket, _, key = path.partition("/")
    return 2 if key else 1 if bucket else 0


def _required(operation: OperationModel, location: str) -> dict[str, list[str]]:
    shape = operation.input_shape
    if shape is None:
        return {}
    members = {name: shape.members[name].serialization for name in shape.required_members}
    return {
        it["name"].lower() if location == "header" else it["name"]: []
        for it in members.values()
        if it.get("location") == location
    }


def _header_faults(operation: OperationModel, exchange: Exchange) -> Iterator[str]:
    members = operation.output_shape.members if operation.output_shape else {}
    for name, shape in members.items():
        header = shape.serialization.get("name", "").lower()
        value = exchange.response_headers.get(header)
        if shape.serialization.get("location") == "header" and value:
            pattern = TEXTS.get(shape.type_name)
            if pattern and not re.fullmatch(pattern, value):
                yield f"the header {header} ({name}) is {value!r}, no {shape.type_name}"


def _body_faults(operation: OperationModel, exchange: Exchange) -> Iterator[str]:
    output = operation.output_shape
    payload = output.serialization.get("payload") if output else None
    if payload and output.members[payload].type_name in ("blob", "string"):
        return
    in_body = (
        {}
        if output is None
        else {name: shape for name, shape in output.members.items() if "location" not in shape.serialization}
    )
    text = exchange.response.get("text") if isinstance(exchange.response, dict) else None
    if not text:
        if in_body and exchange.method != "HEAD" and exchange.response is not None:
            yield f"the answer is {exchange.response}, no XML"
        return
    if output is None or not in_body:
        yield f"the operation has no output, and the answer is {text[:80]!r}"
        return
    root = ElementTree.fromstring(text)  # noqa: S314 - our own mock's answer
    shape = output.members[payload] if payload else output
    yield from _element_faults(root, shape, in_body if not payload else shape.members)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _element_faults(
    element: ElementTree.Element, shape: Shape, members: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Faults of an element that should hold `shape`."""
    if shape.type_name == "structure":
        names = {m.serialization.get("name", name): m for name, m in (members or shape.members).items()}
        names |= {_flat_name(m): m for m in names.values() if m.serialization.get("flattened")}
        for child in element:
            if _tag(child) not in names:
                yield f"{shape.name} has no member {_tag(child)}"
                continue
            member = names[_tag(child)]
            yield from _element_faults(
                child, member.member if member.serialization.get("flattened") else member
            )
    elif shape.type_name == "list":
        for child in element:
            yield from _element_faults(child, shape.member)
    elif len(element):
        yield f"{_tag(element)} should be a {shape.type_name} and has elements"
    else:
        pattern, text = TEXTS.get(shape.type_name), element.text or ""
        if pattern and not re.fullmatch(pattern, text):
            yield f"{_tag(element)} is {text!r}, no {shape.type_name}"
        if getattr(shape, "enum", None) and text not in shape.enum:
            yield f"{_tag(element)} is {text!r}, none of {shape.enum}"


def _flat_name(shape: Any) -> str:
    return str(shape.member.serialization.get("name") or shape.serialization.get("name") or shape.name)


def _error_faults(exchange: Exchange) -> Iterator[str]:
    """S3 API reference, "Error responses": <Error> with Code and Message; none to HEAD."""
    if exchange.method == "HEAD":
        return
    text = exchange.response.get("text") if isinstance(exchange.response, dict) else None
    if not text:
        yield f"the error is {exchange.response}, no XML"
        return
    root = ElementTree.fromstring(text)  # noqa: S314 - our own mock's answer
    tags = {_tag(child) for child in root}
    if _tag(root) != "Error" or not {"Code", "Message"} <= tags:
        yield f"the error is <{_tag(root)}> with {sorted(tags)}"
