"""The backend that runs a topology as containers, through testcontainers and the engine's API."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import requests
from docker import version as docker_version
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from harness import engine
from harness.graph import run_graph
from harness.labels import RUN, SERVICE, Owner
from harness.runtime.base import Executed, Report, StartError, State
from harness.runtime.network import DROP_DEFAULT_ROUTE, closed_network, dns_address, named_network
from harness.runtime.sweep import remove_stack
from harness.services.gateway import forwards
from harness.topology import Healthcheck, Service, Topology, fill
from harness.waits import WaitTimeout, eventually

# Ryuk's image may not be had, and it does not outlive its connection either; labels and sweeps do its work.
testcontainers_config.ryuk_disabled = True

START_WORKERS = 16
ONE_SHOT_DEADLINE = 180
"""Seconds for a one-shot service (init syncer, migration) on a busy machine."""
LOG_TAIL = 25
BOOT_LOOK_EVERY = 1.0
"""Seconds. Every look starts a process in the container, on the cores that the boot needs itself."""
NANOSECONDS = 1_000_000_000


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
        self._dns_address = ""

    @property
    def stack(self) -> str:
        return self._stack

    # ---- starting

    def start(self, services: Iterable[Service], report: Report) -> None:
        chosen = {service.name: service for service in services}
        self._make_networks()
        needs = {s.name: {a.service for a in s.after if a.service in chosen} for s in chosen.values()}
        run_graph(needs, lambda name: self._bring_up(chosen[name], report), START_WORKERS)

    def _make_networks(self) -> None:
        with self._network_lock:
            if self._networks_made:
                return
            labels = self._owner.labels(self._stack)
            for volume in self._topology.volumes():
                self._client.volumes.create(f"{self._stack}-{volume}", labels=labels)
            _, subnet = closed_network(self._client, f"{self._stack}-stack", labels)
            named_network(f"{self._stack}-edge", {"labels": labels})
            self._dns_address = dns_address(subnet)
            self._networks_made = True

    def _bring_up(self, service: Service, report: Report) -> None:
        report(service.name, "starting")
        container = self._create_and_start(service)
        if service.guarded:
            self._close_way_out(container)
        if service.one_shot:
            self._await_completion(service, container)
            report(service.name, "completed")
        elif service.healthcheck:
            self._await_health(service, service.healthcheck)
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
        # Published ports only work when the container is born on the network that leads out.
        network = f"{self._stack}-edge" if service.edge else f"{self._stack}-stack"
        aliases = [service.name, *(fill(alias, self._settings) for alias in service.aliases)]
        endpoint = EndpointConfig(
            docker_version.__version__,
            aliases=aliases,
            ipv4_address=self._dns_address if service.fixed_address else None,
        )
        options: dict[str, Any] = {
            "hostname": service.name,
            "network": network,
            "networking_config": {network: endpoint},
            "labels": self._owner.labels(self._stack, service.name),
            "init": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
        }
        if service.guarded:
            options["dns"] = [self._dns_address]
        if service.healthcheck:
            options["healthcheck"] = _engine_healthcheck(service.healthcheck)
        return options

    def close_ways_out(self) -> None:
        """What `start` does for each guarded service; for a stack that something else started."""
        for service in self._topology.services():
            if service.guarded and not service.one_shot:
                self._close_way_out(self._container(service.name))

    def _close_way_out(self, container: Container) -> None:
        """Make calls to foreign addresses fail at once, by a short-lived helper in the container's network.

        A one-shot that has ended already needs it no more.
        """
        try:
            self._client.containers.run(
                self._references["syncer"],
                entrypoint=["python3", "-S", "-c"],
                command=[DROP_DEFAULT_ROUTE],
                network_mode=f"container:{container.id}",
                user="0",
                cap_drop=["ALL"],
                cap_add=["NET_ADMIN"],
                labels=self._owner.labels(self._stack),
                remove=True,
            )
        except APIError as error:
            container.reload()
            if container.status == "running":
                raise StartError(f"cannot close the way out of {container.name}: {error}") from error

    def _await_completion(self, service: Service, container: Container) -> None:
        try:
            code = container.wait(timeout=ONE_SHOT_DEADLINE)["StatusCode"]
        except requests.RequestException as error:
            raise StartError(
                self._failure(service, f"did not complete within {ONE_SHOT_DEADLINE} s")
            ) from error
        if code != 0:
            raise StartError(self._failure(service, f"failed with exit code {code}"))

    def _await_health(self, service: Service, check: Healthcheck) -> None:
        last = Executed(1, "")

        def look() -> bool:
            nonlocal last
            state = self._state(service.name)
            if state.status != "running":
                raise StartError(self._failure(service, f"ended while it was starting: {state}"))
            last = self.exec(service.name, [fill(part, self._settings) for part in check.command])
            return last.exit_code == 0

        try:
            eventually(look, f"{service.name} to be ready", check.boot_deadline, interval=BOOT_LOOK_EVERY)
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

    def pause(self, service: str) -> None:
        self._container(service).pause()

    def unpause(self, service: str) -> None:
        self._container(service).unpause()

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


def _parse_state(state: dict[str, Any]) -> State:
    """The engine's ``State`` of a container."""
    return State(state["Status"], state.get("Health", {}).get("Status", ""), state["ExitCode"])


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
