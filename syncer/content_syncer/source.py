"""Where the content comes from: a repository's address, kept apart from the credentials in it."""

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from content_syncer.errors import SettingsError

SETTING = "CONTENT_SYNCER_GIT_REPO_SOURCE"
_SCHEMES = ("http", "https", "ssh", "git", "file")
_SCP_LIKE = re.compile(r"[\w.-]+@[\w.-]+:[^:]")
_USERINFO = re.compile(r"(?<=://)[^/\s@]*@")


@dataclass(frozen=True)
class Source:
    """A repository. `url` carries no credentials: it may be printed and passed as an argument.

    `username` and `password` are None where git should not log in; an address with a name alone
    (a token, as GitHub takes it) has an empty password. `secrets` are the texts that must never be shown.
    """

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def host(self) -> str:
        """The address up to its path (`https://host:port`), which is what credentials are good for."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"

    def redact(self, text: str) -> str:
        """Return `text` with each secret, and any other login in an address, replaced by `***`."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return _USERINFO.sub("***@", text)


def parse_source(text: str) -> Source:
    """Split an address into what may be shown and what may not.

    Raises SettingsError, without repeating the address, where it is none that the syncer takes.
    """
    if not text.isprintable() or " " in text or text.startswith("-"):
        raise SettingsError(f"{SETTING} is not an address: it has blanks, or starts with a dash")
    scheme, separator, rest = text.partition("://")
    if not separator:
        if text.startswith("/") or _SCP_LIKE.match(text):
            return Source(url=text)
        raise SettingsError(f"{SETTING} must be a URL, user@host:path or an absolute path")
    if scheme not in _SCHEMES:
        raise SettingsError(f"{SETTING} must use one of {', '.join(_SCHEMES)}")
    if scheme == "file":
        return Source(url=text)
    authority, slash, path = rest.partition("/")
    userinfo, _, host = authority.rpartition("@")
    if not host or "@" in path or any(mark in rest for mark in "?#"):
        raise SettingsError(f"{SETTING} must look like scheme://[user:password@]host/path, percent-encoded")
    if scheme not in ("http", "https"):
        return _with_user_only(f"{scheme}://", userinfo, f"{host}{slash}{path}")
    return _with_login(f"{scheme}://{host}{slash}{path}", userinfo)


def _with_user_only(prefix: str, userinfo: str, rest: str) -> Source:
    user, _, password = userinfo.partition(":")
    secrets = tuple({password, unquote(password)} - {""})
    return Source(url=f"{prefix}{user}@{rest}" if user else f"{prefix}{rest}", secrets=secrets)


def with_login(source: Source, user: str, password: str) -> Source:
    """Return the source with another login, whose password is kept secret like one in the address."""
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Source(source.url, user, password, (*source.secrets, basic, password))


def _with_login(url: str, userinfo: str) -> Source:
    if not userinfo:
        return Source(url=url)
    raw_user, _, raw_password = userinfo.partition(":")
    user, password = unquote(raw_user), unquote(raw_password)
    if not (user + password).isprintable():
        raise SettingsError(f"{SETTING} has control characters in its user name or password")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    # A name without a password is the token itself; with one it is an account's name and no secret.
    secrets = {userinfo, basic, raw_password, password} | (set() if password else {raw_user, user})
    longest_first = tuple(sorted(secrets - {""}, key=len, reverse=True))
    return Source(url=url, username=user, password=password, secrets=longest_first)
