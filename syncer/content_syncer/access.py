"""The login for the origin, looked up anew before each request, so that a rotated one needs no restart."""

from dataclasses import dataclass
from pathlib import Path

from content_syncer.errors import CredentialsError
from content_syncer.source import Source, with_login


@dataclass(frozen=True)
class Access:
    """Where logins come from: the address itself, a token file, or a service that hands them out.

    `user` goes with the token. For ssh, `ssh_key` and `known_hosts` are files that ssh reads at each request.
    """

    source: Source
    user: str = "git"
    token_file: Path | None = None
    askpass_url: str = ""
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def current(self, timeout: float) -> Source:
        """Return the source with the login of now. Raises CredentialsError, which names the fault but no secret."""
        if self.token_file:
            return with_login(self.source, self.user, _read_token(self.token_file))
        if self.askpass_url:
            return with_login(self.source, *_ask(self.askpass_url, timeout))
        return self.source

    @property
    def ssh_command(self) -> str:
        """How git is to call ssh: with that key only, never asking, and never trusting an unknown host."""
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no"]
        if self.ssh_key:
            options += ["IdentitiesOnly=yes", f"IdentityFile={self.ssh_key}"]
        if self.known_hosts:
            options += [f"UserKnownHostsFile={self.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
        return " ".join(["ssh -F /dev/null", *(f"-o {_quoted(option)}" for option in options)])


def _quoted(option: str) -> str:
    # Once for the shell that git runs the command with, once for ssh, which takes blanks for separators.
    name, _, value = option.partition("=")
    text = f'{name}="{value}"' if " " in value else option
    return "'" + text.replace("'", "'\\''") + "'"


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(
            f"CONTENT_SYNCER_GIT_TOKEN_FILE cannot be read: {type(error).__name__} {path}"
        ) from None
    if not token or not token.isprintable():
        raise CredentialsError(f"CONTENT_SYNCER_GIT_TOKEN_FILE holds no token: {path}")
    return token


def _ask(url: str, timeout: float) -> tuple[str, str]:
    """Get `username=…` and `password=…` lines, which is what git-sync's askpass services answer with."""
    # Imported here: few need it, and it would double the time that the command takes to start.
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - the scheme was checked
            lines = answer.read(65536).decode().splitlines()
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        raise CredentialsError(f"the service at CONTENT_SYNCER_ASKPASS_URL fails: {_plain(error)}") from None
    found = dict(line.partition("=")[::2] for line in lines)
    user, password = found.get("username", ""), found.get("password", "")
    if not password or not (user + password).isprintable():
        raise CredentialsError("the service at CONTENT_SYNCER_ASKPASS_URL gave no password")
    return user, password


def _plain(error: Exception) -> str:
    return f"{type(error).__name__} {error}" if str(error) else type(error).__name__
