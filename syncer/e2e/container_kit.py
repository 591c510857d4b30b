"""Containers of the syncer image on volumes: what a pod has, without Airflow."""

import io
import json
import tarfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from syncer_kit import Origin, eventually

from harness.labels import Owner

CONTENT = "/opt/airflow/content"
MOUNT = "/srv/git"
ORIGIN = f"{MOUNT}/origin"
"""The origin's volume is mounted there; the repository is a folder in it, as a volume's root stays the engine's."""
USER = 50000
MEMORY = "128m"
"""What a pod's syncer gets in the mirror."""


@dataclass
class Lab:
    """Makes containers, volumes and networks of one test, and removes them at its end."""

    client: docker.DockerClient
    images: Mapping[str, str]
    made: list[Any] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"itest-syncer-{uuid.uuid4().hex[:8]}")

    @property
    def labels(self) -> dict[str, str]:
        return Owner.this_process().labels(self.name)

    def volume(self) -> str:
        """A new volume's name."""
        volume = self.client.volumes.create(f"{self.name}-{len(self.made)}", labels=self.labels)
        self.made.append(volume)
        return str(volume.name)

    def network(self) -> str:
        """A new network without a way out; its name."""
        network = self.client.networks.create(
            f"{self.name}-{len(self.made)}", internal=True, labels=self.labels
        )
        self.made.append(network)
        return str(network.name)

    def container(self, image: str, command: list[str] | None, **options: Any) -> Container:
        """Create a container, without a network unless told otherwise."""
        options = {"network_mode": "none"} | options if "network" not in options else options
        made = self.client.containers.create(
            self.images.get(image, image), command, labels=self.labels, **options
        )
        self.made.append(made)
        return made

    def syncer(
        self,
        command: str,
        volumes: Mapping[str, str],
        settings: Mapping[str, str] | None = None,
        *,
        image: str = "syncer",
        memory: str = MEMORY,
        **options: Any,
    ) -> Container:
        """Start `once` or `run`; `volumes` maps names to paths (`:ro` may follow). The origin is at `ORIGIN`."""
        environment = {"CONTENT_SYNCER_GIT_REPO_SOURCE": f"file://{ORIGIN}", **(settings or {})}
        container = self.container(
            image,
            [command],
            environment=environment,
            volumes=[f"{name}:{path}" for name, path in volumes.items()],
            mem_limit=memory,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            **options,
        )
        container.start()
        return container

    def put(self, volume: str, files: Mapping[str, tuple[bytes, int]], owner: int = USER) -> None:
        """Write files (path to content and mode) into a volume: objects come before the refs to them."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            # Folders, too: git reads no repository that another user owns.
            for folder in sorted({str(parent) for path in files for parent in Path(path).parents}):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode, entry.uid = tarfile.DIRTYPE, 0o755, owner
                tar.addfile(entry)
            for path, (content, mode) in sorted(files.items()):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode, entry.uid = len(content), mode, owner
                tar.addfile(entry, io.BytesIO(content))
        helper = self.container("syncer", ["once"], volumes=[f"{volume}:/data"])
        helper.put_archive("/data", archive.getvalue())
        self.remove(helper)

    def remove(self, thing: Any) -> None:
        """Remove one thing before the end."""
        self.made.remove(thing)
        thing.remove(force=True)

    def close(self) -> None:
        """Remove everything, containers first."""
        for thing in sorted(self.made, key=lambda made: not isinstance(made, Container)):
            thing.remove(**({"force": True} if not hasattr(thing, "connect") else {}))


def repository_files(origin: Origin) -> dict[str, tuple[bytes, int]]:
    """A bare copy of the origin's repository, as files."""
    bare = origin.path.parent / f"{origin.path.name}.git"
    if not bare.exists():
        origin.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        origin.git("--git-dir", str(bare), "config", "uploadpack.allowAnySHA1InWant", "true")
    origin.git("push", "--quiet", "--mirror", str(bare))
    kept = (path for path in bare.rglob("*") if path.is_file() and "hooks" not in path.parts)
    return {f"origin/{path.relative_to(bare)}": (path.read_bytes(), 0o644) for path in kept}


def run(container: Container, *command: str) -> tuple[int, str]:
    """Run a command in a container; exit code and output."""
    done = container.exec_run(list(command))
    return done.exit_code, done.output.decode()


def files_of(container: Container, path: str) -> dict[str, str]:
    """The files below a path of a container, running or not, links not followed: relative path to text."""
    stream, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        top = Path(path).name
        read = {m.name.removeprefix(f"{top}/"): tar.extractfile(m) for m in tar.getmembers() if m.isreg()}
        return {name: handle.read().decode() for name, handle in read.items() if handle}


def status_of(container: Container) -> dict[str, Any]:
    """The status file, {} while there is none. It is read again where it was replaced while the engine read it."""

    seen: list[str] = []

    def is_whole() -> bool:
        try:
            seen.append(files_of(container, f"{CONTENT}/.syncer/status.json")["status.json"])
        except docker.errors.NotFound:
            seen.append("{}")
        except tarfile.ReadError:
            return False
        return True

    eventually(is_whole, "the status is read as a whole")
    found: dict[str, Any] = json.loads(seen[-1])
    return found


def content_of(container: Container) -> dict[str, str]:
    """What Airflow would see in the container's volume, by the links that are there now."""
    script = (
        "import json,os,sys\n"
        "found={}\n"
        "for top in ('dags','plugins'):\n"
        "  for parent,_,files in os.walk(top,followlinks=True):\n"
        "    for name in files:\n"
        "      path=os.path.join(parent,name)\n"
        "      found[path]=open(path).read()\n"
        "print(json.dumps(found))"
    )
    done = container.exec_run(["python3", "-IS", "-c", script], workdir=CONTENT)
    assert done.exit_code == 0, done.output.decode()
    found: dict[str, str] = json.loads(done.output)
    return found


def wait_until_serves(container: Container, revision: str) -> None:
    """Wait until the status names the revision."""
    eventually(
        lambda: status_of(container).get("revision") == revision,
        f"{revision} is served; log: {container.logs().decode()[-2000:]}",
    )


def exit_code(container: Container) -> int:
    """Wait for the end of a container."""

    def ended() -> bool:
        container.reload()
        return bool(container.status == "exited")

    eventually(ended, f"the container ends; log: {container.logs().decode()[-2000:]}")
    return int(container.attrs["State"]["ExitCode"])
