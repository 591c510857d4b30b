"""Make a recording of a real service that a person configures, in a TOML file:

service = "slack"                     # or "google_sheets"
place = "C0123456789"                 # a channel's id, or a spreadsheet's, that may be written to
credential_env = "SLACK_BOT_TOKEN"    # the environment variable that holds the token
url = "https://slack.com"             # optional, the service's own if it is left out
scrub = ["ada@example.com"]           # optional, texts that must not be in the recording
ca_bundle = "/etc/ssl/company.pem"    # optional
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.recording.proxy import Recorder, recording
from harness.recording.scenarios import SCENARIOS, URLS, Target

KNOWN = {"service", "place", "credential_env", "url", "scrub", "ca_bundle"}


class RecordError(RuntimeError):
    """No recording was made; the message says why and what to do."""


def record(config: Path, output: Path, environment: Mapping[str, str] = os.environ) -> int:
    """Record what `config` names into `output`; returns how many exchanges it holds.

    Nothing is written unless the whole scenario ran. Raises `RecordError`.
    """
    settings = _read(config)
    credential = environment.get(settings["credential_env"], "")
    if not credential:
        raise RecordError(f"set {settings['credential_env']}, which {config} names, in the environment")
    service = settings["service"]
    target = Target(service, settings.get("url", URLS[service]), settings["place"], credential)
    recorder = Recorder(service, (credential, *settings.get("scrub", ())))
    try:
        with recording(target.url, recorder, settings.get("ca_bundle")) as proxy:
            SCENARIOS[service](proxy, target)
    except ImportError as error:
        raise RecordError(f"{error}; the clients are there after scripts/bootstrap python") from error
    except Exception as error:
        answered = f"; its last answer: {recorder.exchanges[-1].response}" if recorder.exchanges else ""
        raise RecordError(f"{service} at {target.url}: {type(error).__name__}{answered}") from error
    kept = {"service": service, "exchanges": [asdict(exchange) for exchange in recorder.exchanges]}
    temporary = output.with_name(f".{output.name}.new")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(json.dumps(kept, indent=2) + "\n")
    temporary.replace(output)
    return len(recorder.exchanges)


def _read(config: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(config.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecordError(f"cannot read {config}: {error}") from error
    unknown = sorted(set(settings) - KNOWN)
    missing = sorted({"service", "place", "credential_env"} - set(settings))
    if unknown or missing:
        raise RecordError(f"{config}: unknown: {unknown or 'nothing'}; missing: {missing or 'nothing'}")
    if settings["service"] not in SCENARIOS:
        raise RecordError(f"{config}: service must be one of {', '.join(SCENARIOS)}")
    return settings
