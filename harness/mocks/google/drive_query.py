"""Search queries of Drive's files.list, as far as Google's provider writes them: comparisons joined by `and`.

Grammar: https://developers.google.com/workspace/drive/api/guides/ref-search-terms
"""

import re
from collections.abc import Callable

from harness.mocks.google.drive_files import ROOT, File
from harness.mocks.wsgi import Unmocked

Test = Callable[[File], bool]
_STRING = r"'(?P<value>(?:[^'\\]|\\.)*)'"
_COMPARISON = re.compile(rf"(?P<field>name|mimeType)\s*(?P<operator>=|!=|contains)\s*{_STRING}")
_PARENT = re.compile(rf"{_STRING}\s+in\s+parents")
_TRASHED = re.compile(r"trashed\s*=\s*(?P<value>true|false)")
_AND = re.compile(r"\s+and\s+")


def parse(query: str) -> Test:
    """What the query takes. Raises Unmocked for one outside of this grammar."""
    tests: list[Test] = []
    position = 0
    text = query.strip()
    while position < len(text):
        for pattern, made in ((_COMPARISON, _compared), (_PARENT, _inside), (_TRASHED, _trashed)):
            match = pattern.match(text, position)
            if match is not None:
                tests.append(made(match))
                position = match.end()
                break
        else:
            raise Unmocked(f"the query {query!r} of files.list, from {text[position:]!r}")
        joined = _AND.match(text, position)
        if joined is None and position < len(text):
            raise Unmocked(f"the query {query!r} of files.list, from {text[position:]!r}")
        position = joined.end() if joined else position
    return lambda file: all(test(file) for test in tests)


def _value(match: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", match["value"])


def _compared(match: re.Match[str]) -> Test:
    value, operator = _value(match), match["operator"]
    attribute = "name" if match["field"] == "name" else "mime_type"
    if operator == "contains":
        return lambda file: value.lower() in str(getattr(file, attribute)).lower()
    return lambda file: (getattr(file, attribute) == value) is (operator == "=")


def _inside(match: re.Match[str]) -> Test:
    parent = ROOT if _value(match) == "root" else _value(match)
    return lambda file: parent in file.parents


def _trashed(match: re.Match[str]) -> Test:
    wanted = match["value"] == "true"
    return lambda file: file.trashed is wanted
