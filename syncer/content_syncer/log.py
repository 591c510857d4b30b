"""Log lines on standard error: `2026-01-01T00:00:00Z level message key=value …`, one per event."""

import contextlib
import json
import sys
import time


def line(level: str, message: str, fields: dict[str, object]) -> str:
    """Return the line for an event, without a line end; values with blanks or quotes are JSON strings."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    pairs = "".join(f" {key}={_value(value)}" for key, value in fields.items())
    return f"{stamp} {level} {message}{pairs}"


def info(message: str, **fields: object) -> None:
    """Log something that went as it should."""
    _write("info", message, fields)


def warning(message: str, **fields: object) -> None:
    """Log something that someone may want to look at."""
    _write("warning", message, fields)


def error(message: str, **fields: object) -> None:
    """Log something that failed."""
    _write("error", message, fields)


def _value(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(character in text for character in " \"'=")
    return text if plain else json.dumps(text)


def _write(level: str, message: str, fields: dict[str, object]) -> None:
    # A log that nobody reads any more must not stop the syncing.
    with contextlib.suppress(OSError):
        print(line(level, message, fields), file=sys.stderr, flush=True)
