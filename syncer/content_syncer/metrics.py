"""The status as Prometheus reads it."""

from typing import Any

from content_syncer.status import age_of, is_ready

_PREFIX = "content_syncer_"


def exposition(fields: dict[str, Any], ready_limit: float) -> str:
    """Return the metrics in Prometheus's text format 0.0.4; `fields` are those of the status."""
    success, published = age_of(fields.get("last_success")), age_of(fields.get("published_at"))
    revision = fields.get("revision") or ""
    failures = {f'{{reason="{reason}"}}': count for reason, count in fields["failures_by_reason"].items()}
    rejected = fields.get("rejected") or {}
    families: tuple[tuple[str, str, str, dict[str, float | None]], ...] = (
        ("revision_info", "gauge", "The revision that is served.", {f'{{revision="{revision}"}}': 1}),
        ("ready", "gauge", "1 while a revision is served and the last success is recent.",
         {"": is_ready(fields, ready_limit)}),
        ("held", "gauge", "1 while pinned to a revision.", {"": fields["held"]}),
        ("last_success_age_seconds", "gauge", "Time since a sync last succeeded.", {"": success}),
        ("published_age_seconds", "gauge", "Time since the revision was published.", {"": published}),
        ("sync_duration_seconds", "summary", "How long attempts took.",
         {"_sum": fields["sync_seconds_total"], "_count": fields["attempts"]}),
        ("last_sync_duration_seconds", "gauge", "How long the last attempt took.",
         {"": fields["last_sync_seconds"]}),
        ("attempts_total", "counter", "Attempts to sync.", {"": fields["attempts"]}),
        ("failures_total", "counter", "Attempts that failed.", failures),
        ("written_bytes_total", "counter", "File contents written to the volume.", {"": fields["bytes_written"]}),
        ("rejected_age_seconds", "gauge", "Time since the gate rejected a revision; absent if it did not.",
         {"": age_of(rejected.get("since"))}),
    )  # fmt: skip
    return "".join(_family(*family) for family in families)


def _family(name: str, kind: str, text: str, samples: dict[str, float | None]) -> str:
    lines = [
        f"{_PREFIX}{name}{labels} {float(value):g}" for labels, value in samples.items() if value is not None
    ]
    if not lines:
        return ""
    return "\n".join((f"# HELP {_PREFIX}{name} {text}", f"# TYPE {_PREFIX}{name} {kind}", *lines, ""))
