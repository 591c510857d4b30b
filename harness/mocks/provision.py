"""What the pods find in the shared volume: the stack's CA certificate, the `ic-admin` stand-in, and Python modules
for their PYTHONPATH."""

from pathlib import Path

CA_BUNDLE = "ca-bundle.pem"
IC_ADMIN = "bin/ic-admin"
SITE = "python"
_SOURCE = Path(__file__).with_name("ic_admin.py")
_SITE_SOURCES = Path(__file__).with_name("pods_site")


def provision(shared_dir: Path, ca_certificate: bytes) -> None:
    """Write all files, each in one step, readable by every pod. Never writes a private key."""
    _publish(shared_dir / CA_BUNDLE, ca_certificate, 0o644)
    _publish(shared_dir / IC_ADMIN, _SOURCE.read_bytes(), 0o755)
    for source in _SITE_SOURCES.glob("*.py"):
        if source.name != "__init__.py":
            _publish(shared_dir / SITE / source.name, source.read_bytes(), 0o644)


def _publish(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.chmod(mode)
    temporary.replace(path)
