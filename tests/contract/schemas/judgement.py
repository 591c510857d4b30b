"""What the check of one exchange has found."""

from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator


@dataclass(frozen=True)
class Judgement:
    """operation: as the schema names it. schema: which one was applied. faults: what the exchange breaks of it."""

    operation: str
    schema: str
    faults: tuple[str, ...]


def untyped(schema: str, what: str) -> Judgement:
    """For an exchange that the schema does not describe."""
    return Judgement("", schema, (f"{schema} does not describe {what}",))


def broken(body: Any, schema: Any, where: str) -> list[str]:
    """Where `body` breaks a JSON schema, a line each."""
    errors = Draft202012Validator(schema).iter_errors(body)
    return [f"{where} at /{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
