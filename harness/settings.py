"""What each stack has of its own: keys, tokens and passwords, made anew for every stack."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

GOOGLE_CLIENT_EMAIL = "airflow@itest.iam.gserviceaccount.com"
STACK_PREFIX = "itest"


def new_stack_name() -> str:
    """A name that no other stack on the engine has, such as ``itest-3f9a1c``."""
    return f"{STACK_PREFIX}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The values behind a topology's placeholders, and the private keys that only connections and variables hold."""

    placeholders: dict[str, str]
    google_private_key: str
    proposer_key: str

    @classmethod
    def generate(cls, stack: str) -> StackSettings:
        """Fresh keys for `stack`."""
        google = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = google.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        placeholders = {
            "ITEST_STACK": stack,
            "ITEST_FERNET_KEY": Fernet.generate_key().decode(),
            "ITEST_JWT_SECRET": secrets.token_urlsafe(48),
            "ITEST_API_SECRET_KEY": secrets.token_urlsafe(32),
            "ITEST_ADMIN_PASSWORD": secrets.token_urlsafe(12),
            "ITEST_DATABASE_PASSWORD": secrets.token_urlsafe(24),
            "ITEST_GIT_TOKEN": secrets.token_hex(16),
            "ITEST_SLACK_TOKEN": f"xoxb-{secrets.token_hex(16)}",
            "ITEST_GOOGLE_PUBLIC_KEY": public.decode(),
            "ITEST_GOOGLE_CLIENT_EMAIL": GOOGLE_CLIENT_EMAIL,
        }
        return cls(placeholders, _pem(google), _pem(ec.generate_private_key(ec.SECP256K1())))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never appear in a log, a report or an error."""
        hidden = ("KEY", "SECRET", "PASSWORD", "TOKEN")
        named = [v for k, v in self.placeholders.items() if k.split("_")[-1] in hidden and "PUBLIC" not in k]
        return (*named, self.google_private_key, self.proposer_key)

    def google_keyfile(self) -> dict[str, str]:
        """The service account's key file, in the shape that Google's console hands out."""
        return {
            "type": "service_account",
            "project_id": "itest",
            "private_key_id": "itest",
            "private_key": self.google_private_key,
            "client_email": GOOGLE_CLIENT_EMAIL,
            "client_id": "100000000000000000000",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
        }

    def save(self, path: Path) -> None:
        """Write to `path`, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> StackSettings:
        """Read what `save` wrote; raises `FileNotFoundError`."""
        return cls(**json.loads(path.read_text()))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
