"""All fakes of one stack, wired to each other, and where each answers.

What tests put in and look at is in a `World`, one for each tenancy; S3 and Google's accounts are everybody's.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.mocks.faults import Faults
from harness.mocks.google.access import ScopesOf
from harness.mocks.google.drive import Drive
from harness.mocks.google.drive_files import DriveFiles
from harness.mocks.google.iam import GoogleIam
from harness.mocks.google.oauth import GoogleOAuth
from harness.mocks.google.sheets import Sheets
from harness.mocks.google.spreadsheets import Spreadsheets
from harness.mocks.ic import Nns, Proposals, Registry
from harness.mocks.ic_state import InternetComputer
from harness.mocks.names import BUCKETS, LOG_BUCKET, Service
from harness.mocks.prometheus import Prometheus
from harness.mocks.s3 import S3
from harness.mocks.settings import Settings
from harness.mocks.slack import Uploads, WebApi, Webhooks, Workspace

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True, slots=True)
class Tally:
    """How many were made. `log_objects` are those in the log bucket."""

    slack_messages: int = 0
    proposals: int = 0
    log_objects: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.slack_messages + other.slack_messages,
            self.proposals + other.proposals,
            self.log_objects + other.log_objects,
        )


class World:
    """The outside as one tenancy meets it. It refers to no other world, so nothing in it can reach one."""

    def __init__(
        self, slack_token: str, scopes_of: ScopesOf, shared: Mapping[Service, "WSGIApplication"]
    ) -> None:
        self.slack = Workspace()
        self.sheets = Spreadsheets()
        self.drive = DriveFiles(self.sheets)
        self.ic = InternetComputer()
        self.faults = Faults()
        self._applications: dict[Service, WSGIApplication] = {
            **shared,
            Service.SLACK: WebApi(self.slack, slack_token).app,
            Service.SLACK_HOOKS: Webhooks(self.slack, slack_token).app,
            Service.SLACK_FILES: Uploads(self.slack).app,
            Service.GOOGLE_SHEETS: Sheets(self.sheets, scopes_of).app,
            Service.GOOGLE_DRIVE: Drive(self.drive, scopes_of).app,
            Service.IC_REGISTRY: Registry(self.ic).app,
            Service.IC_PROPOSALS: Proposals(self.ic).app,
            Service.IC_NNS: Nns(self.ic).app,
            Service.PROMETHEUS: Prometheus(self.ic).app,
        }

    def applications(self) -> Mapping[Service, "WSGIApplication"]:
        """The WSGI application of every service."""
        return MappingProxyType(self._applications)

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        parts = (self.slack, self.sheets, self.drive, self.ic, self.faults)
        return [change for part in parts for change in part.changes()]

    def next_due(self) -> float | None:
        """When it next changes by itself, in UNIX seconds; None when nothing is due."""
        moments = [self.ic.next_due(), self.slack.next_due()]
        return min((moment for moment in moments if moment is not None), default=None)

    def tally(self) -> Tally:
        """What it was ever asked to make."""
        return Tally(self.slack.posted(), self.ic.proposed())


class Fakes:
    """The state of the outside world. The control API changes it, the services serve it. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._slack_token = settings.slack_token
        self._oauth = GoogleOAuth(settings.google_public_key, settings.google_client_email)
        self.s3 = S3(BUCKETS)
        iam = GoogleIam(settings.google_client_email, self._oauth.scopes)
        self._shared: dict[Service, WSGIApplication] = {
            Service.GOOGLE_IAM: iam.app,
            Service.GOOGLE_OAUTH: self._oauth.app,
            Service.S3: self.s3,
        }
        self._lock = threading.Lock()
        self._worlds: dict[str, World] = {}
        self._dropped = Tally()

    def world(self, tenant: str) -> World:
        """The world of a tenant, made when somebody first asks for it."""
        with self._lock:
            if tenant not in self._worlds:
                self._worlds[tenant] = World(self._slack_token, self._oauth.scopes, self._shared)
            return self._worlds[tenant]

    def drop(self, tenant: str) -> None:
        """Forget the world of one tenant, who meets a new one next time."""
        with self._lock:
            world = self._worlds.pop(tenant, None)
            if world is not None:
                world.faults.reset()
                self._dropped += world.tally()

    def reset(self) -> None:
        """Back to pristine. Access tokens stay valid: clients in the pods keep theirs across tests."""
        with self._lock:
            for world in self._worlds.values():
                world.faults.reset()
            self._worlds.clear()
            self._dropped = Tally()
        self.s3.reset()

    def changes(self, tenant: str) -> list[str]:
        """How a tenant's world differs from a new one, each in a few words. Makes none."""
        with self._lock:
            world = self._worlds.get(tenant)
        return world.changes() if world is not None else []

    def next_due(self) -> float | None:
        """The earliest moment in the future at which any world changes by itself, in UNIX seconds."""
        with self._lock:
            worlds = list(self._worlds.values())
        return min((due for world in worlds if (due := world.next_due()) is not None), default=None)

    def tenants(self) -> list[str]:
        """Who has a world."""
        with self._lock:
            return sorted(self._worlds)

    def tally(self) -> Tally:
        """What all tenants made since the last full reset, worlds that were dropped included."""
        with self._lock:
            total = sum((world.tally() for world in self._worlds.values()), self._dropped)
        return total + Tally(log_objects=len(self.s3.objects(LOG_BUCKET)))
