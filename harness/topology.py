"""What a mirror consists of, as frozen data. No I/O happens here.

A `Topology` is lowered by `harness.compose` to a compose file and by `harness.runtime` to containers; both
read the same fields. Text fields may hold placeholders ``${NAME}`` (upper case), which each stack fills with
its own `settings` (names, keys, tokens): so no secret is ever part of a topology or of a committed file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

CONTENT_DIR = "/opt/airflow/content"
"""Where every pod keeps the synced content; Airflow's dags and plugins folders lie below it."""

SHARED_DIR = "/opt/itest"
"""Where the mocks put what the pods need to meet them: the stack's CA certificate and `ic-admin`."""

PLACEHOLDER = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")

Condition = Literal["started", "healthy", "completed"]


class TopologyError(ValueError):
    """A topology that cannot be started; the message names the service and the fault."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of the stack at a path in the container."""

    volume: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """Readiness, defined once: ready when `command`, run in the container, exits 0.

    `announced_by` is a regular expression for the line that the service logs when it becomes ready: the harness
    waits for that event instead of starting a process a second in a container that needs the cores itself. With
    `confirm` it then still runs `command`. The engine runs `command` every `interval` seconds afterwards, which nothing
    waits for: a process in each of a stack's 22 containers every 30 s took as much of the machine as its scheduler.
    Times are seconds; `boot_deadline` is for a machine that is busy with other things.
    """

    command: tuple[str, ...]
    announced_by: str
    confirm: bool = False
    interval: int = 300
    timeout: int = 10
    retries: int = 5
    boot_deadline: int = 300


@dataclass(frozen=True, slots=True)
class After:
    """Start only when `service` has reached `condition`."""

    service: str
    condition: Condition = "healthy"


DEFAULT_CPU_SHARES = 1024

SANDBOX_CAPABILITIES = ("NET_ADMIN", "SETUID", "SETGID")
"""What a sandbox needs to close the way out, and then to become nobody, before any other container of its pod runs."""


@dataclass(frozen=True, slots=True)
class Service:
    """One container. `image` is a key of the table in `harness.images`.

    `forwarded_ports` are reachable from the test driver through the gateway; `published_ports` are bound on
    the host at ephemeral ports, and only a service on the edge network (`edge`) can have them.
    `fixed_address` gives the container the stack's one known address, at which it serves DNS to the pods.
    `network_of` names the sandbox whose network the container shares; see `in_sandbox`. `memory` is its limit in
    MiB, `cpu_shares` its weight where the cores do not suffice.
    """

    name: str
    image: str
    memory: int
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    hostname: str = ""
    aliases: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    after: tuple[After, ...] = ()
    one_shot: bool = False
    forwarded_ports: tuple[int, ...] = ()
    published_ports: tuple[int, ...] = ()
    edge: bool = False
    fixed_address: bool = False
    sandbox: bool = False
    network_of: str = ""
    cpu_shares: int = DEFAULT_CPU_SHARES
    stop_grace: int = 10


SANDBOX_SUFFIX = "-sandbox"


def in_sandbox(service: Service) -> tuple[Service, Service]:
    """(sandbox, service): the sandbox owns the network, in which there is no way out before `service` starts.

    A sandbox is what Kubernetes calls a pod's sandbox or pause container: all containers of a pod share its
    network, host name and address. Unknown names are asked of the mocks, which refuse and write them down.
    """
    sandbox = Service(
        name=service.name + SANDBOX_SUFFIX,
        image="sandbox",
        memory=16,
        hostname=service.hostname or service.name,
        aliases=(service.name, *service.aliases),
        healthcheck=Healthcheck(
            ("sh", "-c", "! grep -q '^[^[:space:]]*[[:space:]]00000000' /proc/net/route"), "way out closed"
        ),
        fixed_address=service.fixed_address,
        sandbox=True,
    )
    inside = replace(
        service,
        hostname="",
        aliases=(),
        fixed_address=False,
        network_of=sandbox.name,
        after=(*service.after, After(sandbox.name)),
    )
    return sandbox, inside


@dataclass(frozen=True, slots=True)
class Pod:
    """An Airflow component as production runs it: init syncer, main container, syncer sidecar, own volume."""

    main: Service
    syncer_environment: dict[str, str]
    gate: bool = False
    """Whether the syncers import a revision's DAGs with the pod's Python and environment before publishing it."""
    syncer_mounts: tuple[Mount, ...] = ()
    syncer_after: tuple[After, ...] = ()

    @property
    def name(self) -> str:
        return self.main.name

    @property
    def init_name(self) -> str:
        return f"{self.name}-init"

    @property
    def syncer_name(self) -> str:
        return f"{self.name}-syncer"

    def services(self) -> tuple[Service, Service, Service, Service]:
        """Lower to (sandbox, init syncer, main, sidecar)."""
        content = Mount(f"{self.name}-content", CONTENT_DIR)
        synced = After(self.init_name, "completed")
        sandbox, main = in_sandbox(
            replace(self.main, mounts=(*self.main.mounts, content), after=(*self.main.after, synced))
        )
        syncer = Service(
            name=self.syncer_name,
            image="syncer-gated" if self.gate else "syncer",
            memory=512 if self.gate else 128,
            environment={**(self.main.environment if self.gate else {}), **self.syncer_environment},
            mounts=tuple(
                dict.fromkeys((content, *(self.main.mounts if self.gate else ()), *self.syncer_mounts))
            ),
            network_of=sandbox.name,
        )
        init = replace(
            syncer,
            name=self.init_name,
            command=("once",),
            # What imports the pod's DAGs needs all that the pod does.
            after=(
                After("git-origin"),
                After(sandbox.name),
                *(self.main.after if self.gate else self.syncer_after),
            ),
            one_shot=True,
        )
        sidecar = replace(
            syncer,
            command=("run",),
            healthcheck=Healthcheck(("content-syncer", "healthcheck"), "started"),
            after=(synced,),
        )
        return sandbox, init, main, sidecar


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything one stack runs. `airflow` is the version that the pods' API follows, such as ``3.3.2``."""

    name: str
    airflow: str
    infrastructure: tuple[Service, ...]
    pods: tuple[Pod, ...]

    def __post_init__(self) -> None:
        seen: dict[str, Service] = {}
        for service in self.services():
            if service.name in seen:
                raise TopologyError(f"topology {self.name}: two services are called {service.name}")
            if service.published_ports and not service.edge:
                raise TopologyError(
                    f"{self.name}: {service.name} publishes host ports without being on the edge network"
                )
            seen[service.name] = service
        for service in self.services():
            if service.network_of and not seen.get(service.network_of, service).sandbox:
                raise TopologyError(
                    f"{self.name}: {service.name} shares the network of {service.network_of}, which is no sandbox"
                )
            for dependency in service.after:
                self._check_dependency(service, dependency, seen)

    def _check_dependency(self, service: Service, dependency: After, seen: dict[str, Service]) -> None:
        target = seen.get(dependency.service)
        where = f"topology {self.name}: {service.name} waits for {dependency.service}"
        if target is None:
            raise TopologyError(f"{where}, which does not exist")
        if dependency.condition == "healthy" and target.healthcheck is None:
            raise TopologyError(f"{where} to be healthy, which has no healthcheck")
        if dependency.condition == "completed" and not target.one_shot:
            raise TopologyError(f"{where} to complete, which is not a one-shot service")

    def services(self) -> tuple[Service, ...]:
        """All services: infrastructure first, then each pod's sandbox, init syncer, main container and sidecar."""
        return self.infrastructure + tuple(s for pod in self.pods for s in pod.services())

    def service(self, name: str) -> Service:
        """The service of that name; raises `KeyError` naming those that exist."""
        for service in self.services():
            if service.name == name:
                return service
        raise KeyError(f"no service {name!r}; this topology has {', '.join(s.name for s in self.services())}")

    def volumes(self) -> tuple[str, ...]:
        """Names of the stack's volumes, each once, in order of first use."""
        return tuple(dict.fromkeys(m.volume for s in self.services() for m in s.mounts))

    def images(self) -> tuple[str, ...]:
        """Keys of the images that the topology needs, each once."""
        return tuple(dict.fromkeys(s.image for s in self.services()))

    def lasting(self) -> tuple[Service, ...]:
        """The services that run as long as the stack lives: all but the one-shots."""
        return tuple(s for s in self.services() if not s.one_shot)

    @property
    def memory(self) -> int:
        """MiB that all containers together can hold at most: the sum of their limits."""
        return sum(s.memory for s in self.lasting())

    def settings(self) -> tuple[str, ...]:
        """Names of the placeholders that a stack must fill, sorted."""
        texts = [t for s in self.services() for t in (*s.command, *s.environment.values(), *s.aliases)]
        return tuple(sorted({name for text in texts for name in PLACEHOLDER.findall(text)}))


def fill(text: str, settings: dict[str, str]) -> str:
    """`text` with each ``${NAME}`` replaced; raises `KeyError` for a name that `settings` lacks."""
    return PLACEHOLDER.sub(lambda match: settings[match.group(1)], text)
