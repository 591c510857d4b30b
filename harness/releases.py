"""The released versions of Airflow that there are locks for, and the line that each belongs to."""

from __future__ import annotations

from typing import Literal, get_args

from harness.paths import ROOT

DEFAULT = "3.3.2"
"""The version that runs where nobody asks for another: production's."""

LOCKS = "airflow-image/locks"

LineName = Literal["2.11", "3"]
"""The lines whose components, API and schema the harness knows (`harness.lines`)."""
LINES: tuple[LineName, ...] = get_args(LineName)


class UnknownReleaseError(ValueError):
    """No lock, or no line, is there for a version; the message says which there are."""


def versions() -> list[str]:
    """Versions of Airflow that there are locks for, the oldest first."""
    found = [path.stem.removeprefix("airflow-") for path in (ROOT / LOCKS).glob("airflow-*.txt")]
    return sorted(found, key=_parts)


def resolve(asked: str) -> str:
    """The newest locked version that `asked` means: ``2.11`` is 2.11.2. Raises `UnknownReleaseError`."""
    fitting = [version for version in versions() if _begins(version, asked)]
    if not fitting:
        raise UnknownReleaseError(
            f"there is no lock for Airflow {asked}, only for {', '.join(versions())}. Name one of those, or make "
            f"{LOCKS}/airflow-{asked}.txt (airflow-image/README.md)."
        )
    return fitting[-1]


def line_name(version: str) -> LineName:
    """The line that a version, such as ``2.11.2``, belongs to. Raises `UnknownReleaseError`."""
    name = next((name for name in LINES if _begins(version, name)), None)
    if name is None:
        raise UnknownReleaseError(
            f"Airflow {version} is of no line that this harness knows, which are {' and '.join(LINES)}"
        )
    return name


def _begins(version: str, with_: str) -> bool:
    return f"{version}.".startswith(f"{with_}.")


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
