"""The backend that runs a topology as containers, through testcontainers and the engine's API."""

from __future__ import annotations

import contextlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from docker import version as docker_version
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from harness import engine
from harness.graph import longest_first, run_graph
from harness.labels import RUN, SERVICE, Owner
from harness.runtime.announcement import announced
from harness.runtime.base import Executed, Process, Report, StartError, State, Step, Usage
from harness.runtime.network import closed_network, dns_address, existing_subnet, named_network
from harness.runtime.sweep import remove_stack
from harness.services.gateway import forwards
from harness.topology import SANDBOX_CAPABILITIES, Healthcheck, Service, Topology, fill
from harness.waits import Deadline, WaitTimeout, eventually

# Ryuk's image may not be had, and it does not outlive its connection either; labels and sweeps do its work.
testcontainers_config.ryuk_disabled = True

ONE_SHOT_DEADLINE = 180
"""Seconds for a one-shot service (init syncer, migration) on a busy machine."""
LOG_TAIL = 25
FAVOUR = 4
"""What a stack's CPU shares are multiplied by when another boots beside it, which would else starve it: a boot has some
five processes that import as fast as they can, and a scheduler's round was seen to take 44 s beside two of them."""
CREATED_AT_ONCE = 4
"""Containers that the engine makes side by side; more would only delay those that the longest chain waits for."""
FREEZE_WITHIN = 5
CONFIRM_EVERY = 1.0
"""Seconds. Every look starts a process in the container, on the cores that the boot needs itself."""
NANOSECONDS = 1_000_000_000
MEBIBYTE = 1024 * 1024


class DockerRuntime:
    """One stack on the engine. Objects are named ``<stack>-<service>`` and owned by labels."""

    def __init__(
        self,
        stack: str,
        topology: Topology,
        references: dict[str, str],
        settings: dict[str, str],
        owner: Owner,
    ) -> None:
        self._stack = stack
        self._topology = topology
        self._references = references
        self._settings = settings
        self._owner = owner
        self._client = engine.client()
        self._forwards = forwards(topology.services())
        self._network_lock = threading.Lock()
        self._networks_made = False
        self._creating = threading.Semaphore(CREATED_AT_ONCE)
        self._dns_address = ""

    @property
    def stack(self) -> str:
        return self._stack

    # ---- starting

    def start(self, services: Iterable[Service], report: Report, steps: Sequence[Step] = ()) -> None:
        """As in `Runtime`. Networks that the stack has already, made by a runtime for another topology, are joined."""
        chosen = {service.name: service for service in services}
        driven = {step.name: step for step in steps}
        self._make_networks()
        needs = {name: self._needs(service, chosen, steps) for name, service in chosen.items()}
        needs |= {name: set(step.after & chosen.keys()) for name, step in driven.items()}

        def advance(name: str) -> None:
            if name in chosen:
                self._bring_up(chosen[name], report)
                return
            report(name, "starting")
            driven[name].action()
            report(name, "completed")

        # Most of them wait for an event most of the time, so each has a thread of its own.
        ordered = {name: needs[name] for name in longest_first(needs)}
        run_graph(ordered, advance, workers=len(ordered))

    @staticmethod
    def _needs(service: Service, chosen: dict[str, Service], steps: Sequence[Step]) -> set[str]:
        own = {dependency.service for dependency in service.after} & chosen.keys()
        return own | {step.name for step in steps if service.name in step.before}

    def _make_networks(self) -> None:
        with self._network_lock:
            if self._networks_made:
                return
            labels = self._owner.labels(self._stack)
            for volume in self._topology.volumes():
                self._client.volumes.create(f"{self._stack}-{volume}", labels=labels)
            subnet = existing_subnet(self._client, f"{self._stack}-stack")
            if subnet is None:
                _, subnet = closed_network(self._client, f"{self._stack}-stack", labels)
                named_network(f"{self._stack}-edge", {"labels": labels})
            self._dns_address = dns_address(subnet)
            self._networks_made = True

    def _bring_up(self, service: Service, report: Report) -> None:
        report(service.name, "starting")
        with self._creating:
            container = self._create_and_start(service)
        report(service.name, "created")
        if service.one_shot:
            self._await_completion(service, container)
            report(service.name, "completed")
        elif service.healthcheck:
            self._await_ready(service, service.healthcheck, container)
            report(service.name, "ready")
        else:
            report(service.name, "started")

    def _create_and_start(self, service: Service) -> Container:
        made = DockerContainer(self._references[service.image], name=self._name(service.name))
        made.with_kwargs(**self._options(service))
        if service.command:
            made.with_command([fill(part, self._settings) for part in service.command])
        for port in service.published_ports:
            # An address without a port: the engine picks one. testcontainers' own way would bind all addresses.
            made.ports[str(port)] = (engine.bind_address(),)  # type: ignore[assignment]
        for mount in service.mounts:
            mode = "ro" if mount.read_only else "rw"
            made.with_volume_mapping(f"{self._stack}-{mount.volume}", mount.target, mode)
        made.with_envs(**{k: fill(v, self._settings) for k, v in service.environment.items()})
        try:
            made.start()
            if service.edge:
                stack_network = self._client.networks.get(f"{self._stack}-stack")
                stack_network.connect(self._name(service.name), aliases=[service.name])
        except APIError as error:
            raise StartError(f"{service.name} could not be started: {error.explanation}") from error
        return made.get_wrapped_container()

    def _options(self, service: Service) -> dict[str, Any]:
        options: dict[str, Any] = {
            "labels": self._owner.labels(self._stack, service.name),
            "init": not service.sandbox,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": service.memory * MEBIBYTE,
            "memswap_limit": service.memory * MEBIBYTE,
            "cpu_shares": service.cpu_shares,
            **self._network_options(service),
        }
        if service.sandbox:
            options["cap_add"] = list(SANDBOX_CAPABILITIES)
            options["dns"] = [self._dns_address]
        if service.healthcheck:
            options["healthcheck"] = _engine_healthcheck(service.healthcheck)
        return options

    def _network_options(self, service: Service) -> dict[str, Any]:
        if service.network_of:
            return {"network_mode": f"container:{self._name(service.network_of)}"}
        # Published ports only work when the container is born on the network that leads out.
        network = f"{self._stack}-edge" if service.edge else f"{self._stack}-stack"
        aliases = [service.name, *(fill(alias, self._settings) for alias in service.aliases)]
        endpoint = EndpointConfig(
            docker_version.__version__,
            aliases=aliases,
            ipv4_address=self._dns_address if service.fixed_address else None,
        )
        return {
            "hostname": service.hostname or service.name,
            "network": network,
            "networking_config": {network: endpoint},
        }

    def _await_completion(self, service: Service, container: Container) -> None:
        try:
            code = container.wait(timeout=ONE_SHOT_DEADLINE)["StatusCode"]
        except requests.RequestException as error:
            raise StartError(
                self._failure(service, f"did not complete within {ONE_SHOT_DEADLINE} s")
            ) from error
        if code != 0:
            raise StartError(self._failure(service, f"failed with exit code {code}"))

    def _await_ready(self, service: Service, check: Healthcheck, container: Container) -> None:
        """Wait for the service's own announcement; then, where that is not all, for its healthcheck."""
        deadline = Deadline.after(check.boot_deadline)
        if not announced(container, check.announced_by, deadline):
            if self._state(service.name).status == "running":
                raise StartError(self._failure(service, f"was not ready within {check.boot_deadline} s"))
            raise StartError(self._failure(service, "ended while it was starting"))
        if check.confirm:
            self._confirm(service, check, deadline)

    def _confirm(self, service: Service, check: Healthcheck, deadline: Deadline) -> None:
        last = Executed(1, "")
        command = [fill(part, self._settings) for part in check.command]

        def look() -> bool:
            nonlocal last
            state = self._state(service.name)
            if state.status != "running":
                raise StartError(self._failure(service, f"ended while it was starting: {state}"))
            last = self.exec(service.name, command)
            return last.exit_code == 0

        try:
            eventually(look, f"{service.name} to be ready", deadline.left, interval=CONFIRM_EVERY)
        except WaitTimeout as error:
            said = last.output.strip().splitlines()[-1:] or ["nothing"]
            raise StartError(
                self._failure(service, f"{error}; its healthcheck last said: {said[0]}")
            ) from error

    def _failure(self, service: Service, what: str) -> str:
        tail = "\n".join(f"  {line}" for line in self.logs(service.name, LOG_TAIL).splitlines())
        return (
            f"{service.name}: {what}\nState: {self._state(service.name)}\n"
            f"The last lines of its log:\n{tail or '  (none)'}\n"
            "If the machine was merely busy, run it again; `itest doctor` shows what the engine has."
        )

    # ---- using

    def _name(self, service: str) -> str:
        return f"{self._stack}-{service}"

    def _container(self, service: str) -> Container:
        return self._client.containers.get(self._name(service))

    def address(self, service: str, port: int) -> tuple[str, int]:
        inner = self._forwards[(service, port)]
        gateway = self._container("gateway")
        bindings = gateway.attrs["NetworkSettings"]["Ports"].get(f"{inner}/tcp")
        if not bindings:
            raise KeyError(f"the gateway of {self._stack} does not publish {service}:{port}")
        return engine.host(), int(bindings[0]["HostPort"])

    def exec(self, service: str, command: list[str]) -> Executed:
        done = self._container(service).exec_run(command)
        return Executed(done.exit_code or 0, _text(done.output))

    def read_file(self, service: str, path: str) -> bytes:
        try:
            chunks, _ = self._container(service).get_archive(path)
        except NotFound as error:
            raise FileNotFoundError(path) from error
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            found = archive.extractfile(archive.next() or tarfile.TarInfo())
            return found.read() if found else b""

    def logs(self, service: str, tail: int | None = None) -> str:
        try:
            raw = self._container(service).logs(tail=tail if tail is not None else "all")
        except NotFound:
            return ""
        return raw.decode(errors="replace")

    def signal(self, service: str, signal: str) -> None:
        self._container(service).kill(signal)

    def kill(self, service: str) -> None:
        self._container(service).kill()

    def stop(self, service: str) -> None:
        self._container(service).stop(timeout=self._topology.service(service).stop_grace)

    def discard(self, services: Iterable[Service]) -> None:
        """Remove containers and the volumes that only they had, as when a pod is deleted; those that are there."""
        services = tuple(services)
        gone = {service.name for service in services}
        kept = {m.volume for s in self._topology.services() if s.name not in gone for m in s.mounts}
        volumes = {m.volume for s in services if s.name in gone for m in s.mounts} - kept
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(self._remove_container, gone))
        for volume in volumes:
            with contextlib.suppress(NotFound):
                self._client.volumes.get(f"{self._stack}-{volume}").remove()

    def _remove_container(self, service: str) -> None:
        with contextlib.suppress(NotFound):
            self._container(service).remove(force=True, v=True)

    def restart(self, service: str) -> None:
        self._container(service).start()
        known = self._topology.service(service)
        if known.healthcheck:
            # Its log has the announcement of its first start already.
            self._confirm(known, known.healthcheck, Deadline.after(known.healthcheck.boot_deadline))

    def commit(self, service: str, reference: str, labels: dict[str, str]) -> None:
        """Make an image of a stopped container's files; its labels are the image's and `labels`, not the stack's."""
        name, _, tag = reference.rpartition(":")
        own = self._owner.labels(self._stack, service)
        changes = [f'LABEL "{key}"="{value}"' for key, value in (dict.fromkeys(own, "") | labels).items()]
        self._container(service).commit(repository=name, tag=tag, changes=changes)

    def processes(self, service: str) -> Sequence[Process]:
        try:
            listed = self._container(service).top(ps_args="-eo pid,ppid,args")["Processes"]
        except APIError:
            return ()
        titles = {pid: title for pid, _, title in listed}
        return [Process(title, titles[parent]) for _, parent, title in listed if parent in titles]

    def pause(self, service: str) -> None:
        _freeze(self._container(service))

    def unpause(self, service: str) -> None:
        self._container(service).unpause()

    def pause_all(self) -> bool:
        try:
            self._turn("running", _freeze)
        except WaitTimeout:
            self.unpause_all()
            return False
        return True

    def favour(self) -> None:
        for service in self._topology.lasting():
            # A stack may end meanwhile, in another thread.
            with contextlib.suppress(NotFound):
                self._container(service.name).update(cpu_shares=FAVOUR * service.cpu_shares)

    def unpause_all(self) -> None:
        self._turn("paused", lambda container: container.unpause())

    def _turn(self, status: str, action: Callable[[Container], object]) -> None:
        filters: dict[str, str | list[str] | bool] = {"label": f"{RUN}={self._stack}", "status": status}
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(action, self._client.containers.list(filters=filters, sparse=True)))

    def usage(self) -> dict[str, Usage]:
        def measure(container: Container) -> tuple[str, Usage]:
            stats = self._client.api.stats(str(container.id), stream=False, one_shot=True)
            return container.labels[SERVICE], _usage(stats)

        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(pool.map(measure, self._running()))

    def _running(self) -> list[Container]:
        filters: dict[str, str | list[str] | bool] = {"label": f"{RUN}={self._stack}", "status": "running"}
        return [c for c in self._client.containers.list(filters=filters) if SERVICE in c.labels]

    def _state(self, service: str) -> State:
        try:
            state = self._container(service).attrs["State"]
        except NotFound:
            return State("missing")
        return _parse_state(state)

    def states(self) -> dict[str, State]:
        listed = self._client.containers.list(
            all=True, filters={"label": f"{RUN}={self._stack}"}, ignore_removed=True
        )
        found = {c.labels[SERVICE]: _parse_state(c.attrs["State"]) for c in listed if SERVICE in c.labels}
        return {s.name: found.get(s.name, State("missing")) for s in self._topology.services()}

    def remove(self) -> None:
        remove_stack(self._client, self._stack)


def _freeze(container: Container) -> None:
    """Pause; runc fails with "unable to freeze" while the container forks, and a moment later does not."""

    def attempt() -> bool:
        try:
            container.pause()
        except APIError as error:
            if "freeze" not in str(error):
                raise
            return False
        return True

    eventually(attempt, f"{container.id} to freeze", FREEZE_WITHIN, 0.05)


def _parse_state(state: dict[str, Any]) -> State:
    """The engine's ``State`` of a container."""
    return State(state["Status"], state.get("Health", {}).get("Status", ""), state["ExitCode"])


def _usage(stats: dict[str, Any]) -> Usage:
    """The engine's statistics of a container; their page cache is named differently by the two cgroup versions."""
    memory = stats["memory_stats"]
    details = memory.get("stats", {})
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return Usage(stats["cpu_stats"]["cpu_usage"]["total_usage"] / NANOSECONDS, memory.get("usage", 0) - cache)


def _text(output: object) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else ""


def _engine_healthcheck(check: Healthcheck) -> dict[str, object]:
    return {
        "test": ["CMD", *check.command],
        "interval": check.interval * NANOSECONDS,
        "timeout": check.timeout * NANOSECONDS,
        "retries": check.retries,
        "start_period": check.boot_deadline * NANOSECONDS,
    }
