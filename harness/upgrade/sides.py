"""The two images of an upgrade: a version is one that this project can build, anything else is a reference."""

from __future__ import annotations

import re
from dataclasses import replace

from harness import engine, prepare
from harness.images import ImageError
from harness.prepare import Options
from harness.releases import DEFAULT, LOCKS, versions

VERSION = re.compile(r"\d+(\.\d+)+")
ARGUMENT = "AIRFLOW_VERSION="


def image(asked: str, options: Options) -> str:
    """The reference of the image that `asked` (``3.2.2``, or ``registry/airflow:tag``) means, present on the engine.

    It is built or pulled where it is missing. Raises `ImageError`, naming what there is.
    """
    if not VERSION.fullmatch(asked):
        return _obtain(replace(options, given={"airflow": asked}), DEFAULT)
    if asked not in versions():
        raise ImageError(
            f"there is no lock for Airflow {asked}, only for {', '.join(versions())}. Name one of those, or an image "
            f"(name:tag), or make {LOCKS}/airflow-{asked}.txt (airflow-image/README.md)."
        )
    return _obtain(replace(options, given={}), asked)


def _obtain(options: Options, version: str) -> str:
    prepared = prepare.with_images(prepare.decide(options), ("airflow",), version)
    return prepared.references["airflow"]


def image_id(reference: str) -> str:
    """What identifies the image's content."""
    return str(engine.client().images.get(reference).id)
