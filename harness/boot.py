"""What watches a boot: the display, the history and, where somebody wants to know, the profile."""

from __future__ import annotations

from harness.history import Recorder
from harness.profile import Profile
from harness.progress import BootDisplay

CREATE = "create"
WAIT = "wait"
COMPLETE = "complete"


class BootReport:
    """Takes what a runtime reports (`runtime.base.Report`) and tells everybody. Thread-safe as they are."""

    def __init__(
        self, display: BootDisplay, record: Recorder, one_shots: frozenset[str], profile: Profile | None
    ) -> None:
        self._display = display
        self._record = record
        self._one_shots = one_shots
        self._profile = profile
        self._phases: dict[str, str] = {}

    def __call__(self, service: str, what: str) -> None:
        self._record("service", service=service, what=what)
        if what != "created":
            self._display.report(service, what)
        if self._profile is not None:
            self._note(self._profile, service, what)

    def _note(self, profile: Profile, service: str, what: str) -> None:
        before = self._phases.pop(service, None)
        if before is not None:
            profile.end(service, before)
        following = {"starting": CREATE, "created": COMPLETE if service in self._one_shots else WAIT}.get(
            what
        )
        if following is not None:
            self._phases[service] = following
            profile.begin(service, following)
        elif what == "ready":
            profile.mark("ready", service)
