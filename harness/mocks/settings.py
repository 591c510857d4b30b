"""What the mocks process is told by its environment."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """A setting is missing or malformed; the message names it and never its value."""


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports to listen on (`dns` is UDP and TCP, `identity` UDP). 0 asks the kernel for a free one."""

    http: int = 80
    https: int = 443
    control: int = 8099
    dns: int = 53
    identity: int = 8098


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the process needs; secrets are compared against, never shown.

    slack_token: the one bot token that Slack accepts.
    google_public_key: PEM of the key that verifies the service account's assertions.
    google_client_email: the service account those assertions must come from.
    shared_dir: volume that every pod mounts; receives what `provision` writes.
    state_dir: private directory of this process; receives `journal.jsonl`.
    keep_exchanges: write whole exchanges to `exchanges.jsonl` in state_dir, for the contract suite.
    stack: prefix of the stack's container names, removed to get a pod's name.
    """

    slack_token: str
    google_public_key: str
    google_client_email: str
    shared_dir: Path
    state_dir: Path
    stack: str = ""
    listen_address: str = "0.0.0.0"  # noqa: S104 - pods reach it over the stack's network
    ports: Ports = Ports()
    keep_exchanges: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the ITEST_* variables. Raises SettingsError naming every one that is missing."""
        required = ("ITEST_SLACK_TOKEN", "ITEST_GOOGLE_PUBLIC_KEY", "ITEST_GOOGLE_CLIENT_EMAIL")
        missing = [name for name in required if not environment.get(name)]
        if missing:
            raise SettingsError(f"set {', '.join(missing)} in the environment of the mocks")
        public_key = environment["ITEST_GOOGLE_PUBLIC_KEY"]
        if "PUBLIC KEY" not in public_key:
            raise SettingsError("ITEST_GOOGLE_PUBLIC_KEY is not a PEM public key")
        default_state = Path(tempfile.gettempdir()) / "itest-mocks"
        return cls(
            slack_token=environment["ITEST_SLACK_TOKEN"],
            google_public_key=public_key,
            google_client_email=environment["ITEST_GOOGLE_CLIENT_EMAIL"],
            shared_dir=Path(environment.get("ITEST_SHARED_DIR", "/opt/itest")),
            state_dir=Path(environment.get("ITEST_STATE_DIR", default_state)),
            stack=environment.get("ITEST_STACK", ""),
            keep_exchanges=environment.get("ITEST_KEEP_EXCHANGES") == "1",
        )
