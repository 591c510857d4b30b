"""Block Kit as Slack checks it in a message: required fields, limits, and where a fault is (a JSON pointer).

Limits are those of docs.slack.dev/reference/block-kit: blocks, block-elements, composition-objects/text-object.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.mocks.slack.errors import SlackError

MAX_BLOCKS = 50
MAX_ID = 255
SELECTS = ("static_select", "multi_static_select")

Found = Iterator[str]


def parse_blocks(value: Any) -> list[dict[str, Any]]:
    """Blocks as JSON text (forms) or as a list (JSON bodies). Raises SlackError("invalid_blocks...")."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise SlackError("invalid_blocks_format") from error
    if not isinstance(value, list):
        raise SlackError("invalid_blocks_format")
    faults = list(_faults(value))
    if faults:
        raise SlackError("invalid_blocks", *faults)
    return value


def _faults(blocks: list[Any]) -> Found:
    if len(blocks) > MAX_BLOCKS:
        yield _fault(f"no more than {MAX_BLOCKS} items allowed", "/blocks")
    ids = [block.get("block_id") for block in blocks if isinstance(block, dict) and block.get("block_id")]
    if len(set(ids)) != len(ids):
        yield _fault("block_id is not unique", "/blocks")
    for index, block in enumerate(blocks):
        at = f"/blocks/{index}"
        if not isinstance(block, dict):
            yield _fault("must be an object", at)
            continue
        check = BLOCKS.get(str(block.get("type")))
        if check is None:
            yield _fault(f"unsupported type: {block.get('type')}", f"{at}/type")
            continue
        yield from _length(block, "block_id", at, 1, MAX_ID)
        yield from check(block, at)


def _fault(what: str, pointer: str) -> str:
    return f"[ERROR] {what} [json-pointer:{pointer}]"


def _length(
    holder: Mapping[str, Any], name: str, at: str, low: int, high: int, *, needed: bool = False
) -> Found:
    """Faults of the text or list under `name`."""
    value = holder.get(name)
    if value is None:
        if needed:
            yield _fault(f"missing required field: {name}", at)
    elif not isinstance(value, str | list):
        yield _fault("must be a string or an array", f"{at}/{name}")
    elif len(value) < low:
        yield _fault(f"must be more than {low - 1} {_unit(value)}", f"{at}/{name}")
    elif len(value) > high:
        yield _fault(f"must be less than {high + 1} {_unit(value)}", f"{at}/{name}")


def _unit(value: object) -> str:
    return "characters" if isinstance(value, str) else "items"


def _text(
    holder: Mapping[str, Any],
    name: str,
    at: str,
    high: int = 3000,
    *,
    plain: bool = False,
    needed: bool = True,
) -> Found:
    """Faults of the text object under `name`."""
    value = holder.get(name)
    if value is None:
        if needed:
            yield _fault(f"missing required field: {name}", at)
        return
    yield from _text_object(value, f"{at}/{name}", high, plain=plain)


def _text_object(value: Any, at: str, high: int, *, plain: bool = False) -> Found:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(value, dict):
        yield _fault("must be an object", at)
        return
    if value.get("type") not in kinds:
        yield _fault(f"must be one of {', '.join(kinds)}", f"{at}/type")
    if "emoji" in value and value.get("type") == "mrkdwn":
        yield _fault("no such field of mrkdwn text: emoji", at)
    if "verbatim" in value and value.get("type") == "plain_text":
        yield _fault("no such field of plain text: verbatim", at)
    yield from _length(value, "text", at, 1, high, needed=True)


def _section(block: Mapping[str, Any], at: str) -> Found:
    if block.get("text") is None and block.get("fields") is None:
        yield _fault("missing required field: text or fields", at)
    yield from _text(block, "text", at, needed=False)
    yield from _length(block, "fields", at, 1, 10)
    for index, value in enumerate(_items(block, "fields")):
        yield from _text_object(value, f"{at}/fields/{index}", 2000)
    if block.get("accessory") is not None:
        yield from _element(block["accessory"], f"{at}/accessory")


def _header(block: Mapping[str, Any], at: str) -> Found:
    yield from _text(block, "text", at, 150, plain=True)


def _divider(_block: Mapping[str, Any], _at: str) -> Found:
    yield from ()


def _context(block: Mapping[str, Any], at: str) -> Found:
    yield from _length(block, "elements", at, 1, 10, needed=True)
    for index, value in enumerate(_items(block, "elements")):
        where = f"{at}/elements/{index}"
        if isinstance(value, dict) and value.get("type") == "image":
            yield from _image(value, where)
        else:
            yield from _text_object(value, where, 3000)


def _actions(block: Mapping[str, Any], at: str) -> Found:
    yield from _length(block, "elements", at, 1, 25, needed=True)
    for index, value in enumerate(_items(block, "elements")):
        yield from _element(value, f"{at}/elements/{index}")


def _image(block: Mapping[str, Any], at: str) -> Found:
    yield from _length(block, "alt_text", at, 1, 2000, needed=True)
    yield from _length(block, "image_url", at, 1, 3000, needed=block.get("slack_file") is None)
    yield from _text(block, "title", at, 2000, plain=True, needed=False)


def _input(block: Mapping[str, Any], at: str) -> Found:
    yield from _text(block, "label", at, 2000, plain=True)
    yield from _text(block, "hint", at, 2000, plain=True, needed=False)
    if block.get("element") is None:
        yield _fault("missing required field: element", at)
    else:
        yield from _element(block["element"], f"{at}/element")


def _rich_text(block: Mapping[str, Any], at: str) -> Found:
    yield from _length(block, "elements", at, 1, 1000, needed=True)
    kinds = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
    for index, value in enumerate(_items(block, "elements")):
        if not isinstance(value, dict) or value.get("type") not in kinds:
            yield _fault(f"must be one of {', '.join(kinds)}", f"{at}/elements/{index}/type")


def _markdown(block: Mapping[str, Any], at: str) -> Found:
    yield from _length(block, "text", at, 1, 12_000, needed=True)


def _file(block: Mapping[str, Any], at: str) -> Found:
    yield from _length(block, "external_id", at, 1, MAX_ID, needed=True)
    if block.get("source") != "remote":
        yield _fault("must be remote", f"{at}/source")


def _video(block: Mapping[str, Any], at: str) -> Found:
    yield from _text(block, "title", at, 199, plain=True)
    for name in ("alt_text", "thumbnail_url", "video_url"):
        yield from _length(block, name, at, 1, 3000, needed=True)


def _element(value: Any, at: str) -> Found:
    """Faults of an interactive element."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        yield _fault("missing required field: type", at)
        return
    yield from _length(value, "action_id", at, 1, MAX_ID)
    kind = value["type"]
    if kind == "image":
        yield from _image(value, at)
    elif kind == "button":
        yield from _button(value, at)
    elif kind in OPTIONS:
        yield from _options(value, at, *OPTIONS[kind])
    elif kind not in OTHER_ELEMENTS:
        yield _fault(f"unsupported type: {kind}", f"{at}/type")


def _button(value: Mapping[str, Any], at: str) -> Found:
    yield from _text(value, "text", at, 75, plain=True)
    yield from _length(value, "url", at, 1, 3000)
    yield from _length(value, "value", at, 0, 2000)
    if value.get("style", "primary") not in ("primary", "danger"):
        yield _fault("must be primary or danger", f"{at}/style")


def _options(value: Mapping[str, Any], at: str, most: int, value_length: int) -> Found:
    yield from _length(value, "options", at, 1, most, needed=value.get("option_groups") is None)
    for index, option in enumerate(_items(value, "options")):
        where = f"{at}/options/{index}"
        if not isinstance(option, dict):
            yield _fault("must be an object", where)
            continue
        yield from _text(option, "text", where, 75)
        yield from _length(option, "value", where, 1, value_length, needed=True)


def _items(holder: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = holder.get(name)
    return value if isinstance(value, list) else ()


OPTIONS = {
    "overflow": (5, 150),
    "checkboxes": (10, 150),
    "radio_buttons": (10, 150),
    **dict.fromkeys(SELECTS, (100, 150)),
}
"""Elements with options: how many at most, and how long an option's value may be."""
OTHER_ELEMENTS = frozenset(
    {"datepicker", "datetimepicker", "timepicker", "plain_text_input", "email_text_input", "url_text_input"}
    | {"number_input", "rich_text_input", "file_input", "workflow_button"}
    | {
        f"{many}{what}_select"
        for many in ("", "multi_")
        for what in ("users", "conversations", "channels", "external")
    }
)
BLOCKS: Mapping[str, Callable[[Mapping[str, Any], str], Found]] = {
    "section": _section,
    "header": _header,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "input": _input,
    "rich_text": _rich_text,
    "markdown": _markdown,
    "file": _file,
    "video": _video,
}
