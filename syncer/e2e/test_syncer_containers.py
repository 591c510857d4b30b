"""The syncer's image as pods use it. Origins are volumes or containers on a closed network."""

import contextlib
import json
import os
import random
import time

import pytest
from conftest import Push
from container_kit import (
    CONTENT,
    MOUNT,
    ORIGIN,
    Lab,
    content_of,
    exit_code,
    files_of,
    run,
    status_of,
    wait_until_serves,
)
from docker.errors import APIError
from syncer_kit import Origin, eventually

PUBLISHED = {
    "plugins/operators/deploy.py": "operator 1\n",
    "plugins/lib/__init__.py": "lib 1\n",
    "dags/rollout.py": "dag 1\n",
}


def test_an_init_container_and_a_sidecar_serve_a_pod(lab: Lab, push: Push, origin_volume: str) -> None:
    content = lab.volume()
    volumes = {origin_volume: f"{MOUNT}:ro", content: CONTENT}
    init = lab.syncer("once", volumes)
    assert exit_code(init) == 0, init.logs().decode()
    sidecar = lab.syncer("run", volumes)
    # Not the status's pid: the init container's was 1, too.
    eventually(lambda: "up to date" in sidecar.logs().decode(), "the sidecar made its first attempt")
    assert content_of(sidecar) == PUBLISHED
    revision = push({"content/dags/rollout.py": "dag 2\n"})
    sidecar.kill("SIGUSR1")
    wait_until_serves(sidecar, revision)
    assert content_of(sidecar)["dags/rollout.py"] == "dag 2\n"
    assert run(sidecar, "content-syncer", "healthcheck")[0] == 0
    assert run(sidecar, "content-syncer", "readycheck")[0] == 0
    sidecar.kill("SIGTERM")
    assert exit_code(sidecar) == 0


def test_a_missing_source_ends_a_container_with_64(lab: Lab) -> None:
    container = lab.container("syncer", ["once"])
    container.start()
    assert exit_code(container) == 64
    assert "CONTENT_SYNCER_GIT_REPO_SOURCE is not set" in container.logs().decode()


def test_a_pod_is_pinned_and_released_by_commands_in_its_sidecar(
    lab: Lab, push: Push, origin_volume: str
) -> None:
    sidecar = lab.syncer("run", {origin_volume: f"{MOUNT}:ro", lab.volume(): CONTENT})
    eventually(lambda: bool(status_of(sidecar).get("revision")), "a revision is served")
    first = status_of(sidecar)["revision"]
    assert run(sidecar, "content-syncer", "hold")[0] == 0
    eventually(lambda: status_of(sidecar)["held"] is True, "the status says held")
    second = push({"content/dags/rollout.py": "dag 2\n"})
    assert run(sidecar, "content-syncer", "sync")[0] == 0
    eventually(lambda: status_of(sidecar)["attempts"] >= 3, "another sync was made")
    assert status_of(sidecar)["revision"] == first
    assert run(sidecar, "content-syncer", "release")[0] == 0
    wait_until_serves(sidecar, second)
    assert run(sidecar, "content-syncer", "hold", first)[0] == 0
    wait_until_serves(sidecar, first)


def test_a_sidecar_answers_on_the_loopback_address_of_its_pod(
    lab: Lab, push: Push, origin_volume: str
) -> None:
    sidecar = lab.syncer(
        "run",
        {origin_volume: f"{MOUNT}:ro", lab.volume(): CONTENT},
        {"CONTENT_SYNCER_HTTP_LISTEN": ":9100"},
    )
    eventually(lambda: bool(status_of(sidecar).get("revision")), "a revision is served")
    ask = "import sys,urllib.request as u; print(u.urlopen('http://127.0.0.1:9100'+sys.argv[1]).read().decode())"
    for page, part in (("/healthz", "alive"), ("/readyz", "ready"), ("/metrics", "content_syncer_ready 1")):
        code, text = run(sidecar, "python3", "-c", ask, page)
        assert (code, part in text) == (0, True), text


def test_a_full_disk_keeps_the_last_revision_and_heals(lab: Lab, push: Push, origin_volume: str) -> None:
    sidecar = lab.syncer(
        "run",
        {origin_volume: f"{MOUNT}:ro"},
        {"CONTENT_SYNCER_MAX_BACK_OFF": "0.2"},
        tmpfs={CONTENT: "size=2m,uid=50000,mode=0775"},
    )
    eventually(lambda: run(sidecar, "content-syncer", "healthcheck")[0] == 0, "a revision is served")
    push({"content/dags/big.txt": "x" * 4_000_000})
    sidecar.kill("SIGUSR1")
    eventually(lambda: "No space left on device" in sidecar.logs().decode(), "the disk is full")
    assert "reason=volume" in sidecar.logs().decode()
    assert content_of(sidecar) == PUBLISHED
    push({"content/dags/big.txt": None, "content/dags/rollout.py": "dag 2\n"})
    eventually(lambda: content_of(sidecar)["dags/rollout.py"] == "dag 2\n", "it healed")


def test_a_read_only_volume_keeps_serving_and_says_so(lab: Lab, push: Push, origin_volume: str) -> None:
    content = lab.volume()
    assert exit_code(lab.syncer("once", {origin_volume: f"{MOUNT}:ro", content: CONTENT})) == 0
    revision = push({"content/dags/rollout.py": "dag 2\n"})
    sidecar = lab.syncer("run", {origin_volume: f"{MOUNT}:ro", content: f"{CONTENT}:ro"})
    eventually(lambda: "Read-only file system" in sidecar.logs().decode(), "the volume is read-only")
    assert content_of(sidecar) == PUBLISHED
    assert run(sidecar, "content-syncer", "healthcheck")[0] == 0
    lab.remove(sidecar)
    writable = lab.syncer("run", {origin_volume: f"{MOUNT}:ro", content: CONTENT})
    wait_until_serves(writable, revision)


def test_a_read_only_image_and_no_capability_are_enough(lab: Lab, push: Push, origin_volume: str) -> None:
    once = lab.syncer(
        "once",
        {origin_volume: f"{MOUNT}:ro", lab.volume(): CONTENT},
        read_only=True,
        tmpfs={"/var/cache/content-syncer": "uid=50000"},
    )
    assert exit_code(once) == 0, once.logs().decode()


def test_syncers_of_two_pods_and_of_one_do_not_disturb_each_other(
    lab: Lab, push: Push, origin_volume: str
) -> None:
    shared, own = lab.volume(), lab.volume()
    fast = {"CONTENT_SYNCER_INTERVAL": "0.05"}
    sidecars = [
        lab.syncer("run", {origin_volume: f"{MOUNT}:ro", name: CONTENT}, fast)
        for name in (shared, shared, own)
    ]
    for number in range(2, 6):
        revision = push({"content/dags/rollout.py": f"dag {number}\n"})
        for sidecar in sidecars:
            wait_until_serves(sidecar, revision)
            assert content_of(sidecar)["dags/rollout.py"] == f"dag {number}\n"
    for sidecar in sidecars:
        sidecar.reload()
        assert sidecar.status == "running"


@pytest.mark.parametrize(
    "rounds", [pytest.param(3, id="some"), pytest.param(60, id="many", marks=pytest.mark.slow)]
)
def test_a_killed_container_leaves_a_good_tree_and_the_next_one_repairs_the_rest(
    lab: Lab, push: Push, origin_volume: str, rounds: int
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311
    content, cache = lab.volume(), lab.volume()
    volumes = {origin_volume: f"{MOUNT}:ro", content: CONTENT, cache: "/var/cache/content-syncer"}
    reader = lab.syncer(
        "run", {origin_volume: f"{MOUNT}:ro", content: CONTENT}, {"CONTENT_SYNCER_INTERVAL": "1e6"}
    )
    eventually(lambda: bool(status_of(reader).get("revision")), "a first revision is served")
    names = ("plugins/operators/deploy.py", "plugins/lib/__init__.py", "dags/rollout.py")
    sources = (
        "content/plugins/operators/deploy.py",
        "content/shared/lib/__init__.py",
        "content/dags/rollout.py",
    )
    last = 1
    push(dict.fromkeys(sources, "1"))
    reader.kill("SIGUSR1")
    eventually(lambda: set(content_of(reader).values()) == {"1"}, "the first round's content is served")
    for number in range(2, rounds + 2):
        push(dict.fromkeys(sources, str(number)))
        victim = lab.syncer("once", volumes)
        time.sleep(chance.uniform(0, 0.4))  # the moment of the kill, not a wait
        # The engine refuses to kill one that has ended by itself.
        with contextlib.suppress(APIError):
            victim.kill("SIGKILL")
        served = content_of(reader)
        assert {served[name] for name in names} <= {str(last), str(number)}
        assert served["dags/rollout.py"] != str(number) or served[names[0]] == str(number)
        lab.remove(victim)
        healer = lab.syncer("once", volumes)
        assert exit_code(healer) == 0, healer.logs().decode()
        lab.remove(healer)
        assert set(content_of(reader).values()) == {str(number)}
        last = number


def test_a_key_is_rotated_without_a_restart_and_an_unknown_host_is_refused(
    lab: Lab, push: Push, origin: Origin, origin_volume: str, ssh_keys: dict[str, bytes]
) -> None:
    keys, server = lab.volume(), lab.volume()
    network = lab.network()
    host = {"host": (ssh_keys["host"], 0o600), "authorized_keys": (ssh_keys["old.pub"], 0o644)}
    lab.put(server, host, owner=0)
    known = b"git-origin " + ssh_keys["host.pub"]
    lab.put(
        keys, {"key": (ssh_keys["old"], 0o400), "known_hosts": (b"git-origin " + ssh_keys["new.pub"], 0o644)}
    )
    gate = lab.container(
        "syncer-origin", None, network=network, volumes=[f"{origin_volume}:{MOUNT}", f"{server}:/srv/ssh"],
        hostname="git-origin",
    )  # fmt: skip
    gate.start()
    lab.client.networks.get(network).disconnect(gate)
    lab.client.networks.get(network).connect(gate, aliases=["git-origin"])
    sidecar = lab.syncer(
        "run",
        {lab.volume(): CONTENT, keys: "/keys:ro"},
        {
            "CONTENT_SYNCER_GIT_REPO_SOURCE": f"ssh://git@git-origin{ORIGIN}",
            "CONTENT_SYNCER_SSH_KEY_FILE": "/keys/key",
            "CONTENT_SYNCER_SSH_KNOWN_HOSTS_FILE": "/keys/known_hosts",
            "CONTENT_SYNCER_MAX_BACK_OFF": "0.2",
        },
        network=network,
    )
    eventually(lambda: "Host key verification failed" in sidecar.logs().decode(), "the host is refused")
    eventually(lambda: bool(status_of(sidecar).get("attempts")), "the status has the attempt")
    assert not status_of(sidecar)["revision"]
    lab.put(keys, {"known_hosts": (known, 0o644)})
    eventually(lambda: bool(status_of(sidecar).get("revision")), "the origin is read")
    lab.put(server, {"authorized_keys": (ssh_keys["new.pub"], 0o644)}, owner=0)
    revision = push({"content/dags/rollout.py": "dag 2\n"})
    sidecar.kill("SIGUSR1")
    eventually(lambda: "Permission denied" in sidecar.logs().decode(), "the old key is refused")
    assert content_of(sidecar)["dags/rollout.py"] == "dag 1\n"
    lab.put(keys, {"key": (ssh_keys["new"], 0o400)})
    wait_until_serves(sidecar, revision)


def test_the_image_has_one_shell_and_nothing_to_build_or_install_with(
    lab: Lab, images: dict[str, str]
) -> None:
    container = lab.container("syncer", ["run"])
    assert names_in(lab, "/usr/bin") == {
        "git", "git-upload-pack", "python3", "python3.11", "ssh", "ssh-keygen", "sh", "dash",
    }  # fmt: skip
    assert files_of(container, "/etc/passwd")["passwd"].splitlines()[-1].startswith("airflow:x:50000:0:")
    assert lab.client.images.get(images["syncer"]).attrs["Config"]["User"] == "50000:0"


def names_in(lab: Lab, path: str) -> set[str]:
    """The names in a folder of the image."""
    script = f"import json,os; print(json.dumps(os.listdir({path!r})))"
    lister = lab.container("syncer", ["-c", script], entrypoint=["python3"])
    lister.start()
    assert exit_code(lister) == 0
    return set(json.loads(lister.logs()))


def test_a_sidecar_at_rest_is_small(lab: Lab, push: Push, origin_volume: str) -> None:
    sidecar = lab.syncer("run", {origin_volume: f"{MOUNT}:ro", lab.volume(): CONTENT})
    eventually(lambda: status_of(sidecar).get("pid") == 1, "the sidecar made its first attempt")
    code, text = run(sidecar, "python3", "-c", "print(open('/proc/1/status').read())")
    resident = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))
    print(f"resident set at rest: {resident / 1024:.1f} MiB")
    assert code == 0
    assert resident < 32 * 1024


@pytest.mark.slow
def test_the_gate_refuses_what_the_pods_own_airflow_cannot_import(
    lab: Lab, push: Push, origin_volume: str, gated_image: str
) -> None:
    good = "from airflow.sdk import DAG\nfrom operators.deploy import NAME\nDAG(NAME)\n"
    push({"content/plugins/operators/deploy.py": "NAME = 'a'\n", "content/dags/rollout.py": good})
    volumes = {origin_volume: f"{MOUNT}:ro", lab.volume(): CONTENT}
    first = lab.syncer("once", volumes, image=gated_image, memory="1g")
    assert exit_code(first) == 0, first.logs().decode()
    assert "synced" in first.logs().decode()
    push({"content/plugins/operators/deploy.py": "OTHER = 'a'\n"})
    second = lab.syncer("once", volumes, image=gated_image, memory="1g")
    assert exit_code(second) == 0
    rejected = status_of(second)["rejected"]
    assert "cannot import name 'NAME'" in rejected["errors"]["rollout.py"]
    assert status_of(second)["revision"] != rejected["revision"]
