"""All fakes of one stack, wired to each other, and where each answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.mocks.google_iam import GoogleIam
from harness.mocks.google_oauth import GoogleOAuth
from harness.mocks.ic import Nns, Proposals, Registry
from harness.mocks.ic_state import InternetComputer
from harness.mocks.names import BUCKETS, Service
from harness.mocks.prometheus import Prometheus
from harness.mocks.s3 import S3
from harness.mocks.settings import Settings
from harness.mocks.sheets import Sheets
from harness.mocks.slack import Slack

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Fakes:
    """The state of the outside world. The control API changes it, the services serve it."""

    def __init__(self, settings: Settings) -> None:
        self.slack = Slack(settings.slack_token)
        self.oauth = GoogleOAuth(settings.google_public_key, settings.google_client_email)
        self.iam = GoogleIam(settings.google_client_email, self.oauth.scopes)
        self.sheets = Sheets(self.oauth.scopes)
        self.s3 = S3(BUCKETS)
        self.ic = InternetComputer()

    def applications(self) -> Mapping[Service, "WSGIApplication"]:
        """The WSGI application of every service."""
        return {
            Service.SLACK: self.slack.app,
            Service.GOOGLE_IAM: self.iam.app,
            Service.GOOGLE_OAUTH: self.oauth.app,
            Service.GOOGLE_SHEETS: self.sheets.app,
            Service.IC_REGISTRY: Registry(self.ic).app,
            Service.IC_PROPOSALS: Proposals(self.ic).app,
            Service.IC_NNS: Nns(self.ic).app,
            Service.PROMETHEUS: Prometheus(self.ic).app,
            Service.S3: self.s3,
        }

    def reset(self) -> None:
        """Back to pristine. Access tokens stay valid: clients in the pods keep theirs across tests."""
        for fake in (self.slack, self.sheets, self.s3, self.ic):
            fake.reset()
