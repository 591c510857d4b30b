"""The generated compose file has the quickstart's containers, order, checks and settings, and our labels."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import quickstart
from bench.peers import PeerError
from bench.quickstart import Quickstart, main, measure_quickstart
from bench.shapes import QUICKSTART, QUICKSTART_DAG
from harness.labels import OWNER_PID, RUN, SERVICE, Owner

IMAGES = {"airflow": "itest/airflow:1", "database": "itest/database:2", "redis": "itest/redis:3"}
OWNER = Owner("123", "456", "host/boot")
AIRFLOW = {
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-worker",
    "airflow-triggerer",
}


def made() -> Quickstart:
    return Quickstart("itest-quickstart-1", IMAGES, OWNER, Path("/host"))


@pytest.fixture
def compose() -> dict[str, Any]:
    return made().to_compose()


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def test_the_containers_are_those_of_the_quickstart_on_our_images(services: dict[str, Any]) -> None:
    assert set(services) == AIRFLOW | {"postgres", "redis", "airflow-init"}
    images = {name: service["image"] for name, service in services.items()}
    assert images.pop("postgres") == "itest/database:2"
    assert images.pop("redis") == "itest/redis:3"
    assert set(images.values()) == {"itest/airflow:1"}
    assert all(service["pull_policy"] == "never" for service in services.values())


def test_everything_that_is_made_has_the_owners_labels(compose: dict[str, Any]) -> None:
    things = [
        *compose["services"].values(),
        *compose["networks"].values(),
        *compose["volumes"].values(),
    ]
    assert all(thing["labels"][RUN] == "itest-quickstart-1" for thing in things)
    assert all(thing["labels"][OWNER_PID] == "123" for thing in things)
    assert all(service["labels"][SERVICE] == name for name, service in compose["services"].items())
    named = {
        v.partition(":")[0] for s in compose["services"].values() for v in s.get("volumes", ()) if ":" in v
    }
    assert named == set(compose["volumes"])


def test_only_the_api_server_is_published_at_a_port_that_the_engine_picks(services: dict[str, Any]) -> None:
    assert {name for name in services if "ports" in services[name]} == {"airflow-apiserver"}
    assert services["airflow-apiserver"]["ports"] == ["127.0.0.1::8080"]


def test_containers_start_in_the_quickstarts_order(services: dict[str, Any]) -> None:
    first = {"redis": "service_healthy", "postgres": "service_healthy"}
    after = {
        name: {other: what["condition"] for other, what in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert after["postgres"] == after["redis"] == {}
    assert after["airflow-init"] == first
    migrated = {**first, "airflow-init": "service_completed_successfully"}
    for name in AIRFLOW - {"airflow-worker"}:
        assert after[name] == migrated
    assert after["airflow-worker"] == {**migrated, "airflow-apiserver": "service_healthy"}


def test_health_is_checked_as_often_as_in_the_quickstart(services: dict[str, Any]) -> None:
    def times(name: str) -> dict[str, Any]:
        return {k: v for k, v in services[name]["healthcheck"].items() if k != "test"}

    assert times("postgres") == {"interval": "10s", "retries": 5, "start_period": "5s"}
    assert times("redis") == {"interval": "10s", "timeout": "30s", "retries": 50, "start_period": "30s"}
    for name in AIRFLOW:
        assert times(name) == {"interval": "30s", "timeout": "10s", "retries": 5, "start_period": "30s"}
    assert "healthcheck" not in services["airflow-init"]


def test_each_component_is_asked_for_its_health_in_its_own_way(services: dict[str, Any]) -> None:
    tests = {
        name: " ".join(services[name]["healthcheck"]["test"]) for name in AIRFLOW | {"postgres", "redis"}
    }
    assert tests == {
        "postgres": "CMD pg_isready -U airflow",
        "redis": "CMD redis-cli ping",
        "airflow-apiserver": "CMD curl --fail http://localhost:8080/api/v2/monitor/health",
        "airflow-scheduler": "CMD curl --fail http://localhost:8974/health",
        "airflow-dag-processor": (
            'CMD-SHELL airflow jobs check --job-type DagProcessorJob --hostname "$HOSTNAME"'
        ),
        "airflow-triggerer": 'CMD-SHELL airflow jobs check --job-type TriggererJob --hostname "$HOSTNAME"',
        "airflow-worker": (
            "CMD-SHELL celery --app airflow.providers.celery.executors.celery_executor.app"
            ' inspect ping -d "celery@$HOSTNAME"'
        ),
    }


def test_airflow_has_the_quickstarts_settings_and_none_that_hurries_it(services: dict[str, Any]) -> None:
    environment = services["airflow-scheduler"]["environment"]
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "true"
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "false"
    assert environment["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "true"
    assert (
        environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-apiserver:8080/execution/"
    )
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")
    assert len(environment) == 13
    for name in AIRFLOW - {"airflow-worker"}:
        assert services[name]["environment"] == environment
    assert services["airflow-worker"]["environment"] == {**environment, "DUMB_INIT_SETSID": "0"}


def test_keys_are_new_for_each_stack_and_shared_within_it(services: dict[str, Any]) -> None:
    assert len({services[name]["environment"]["AIRFLOW__API_AUTH__JWT_SECRET"] for name in AIRFLOW}) == 1
    assert made().environment() != made().environment()


def test_the_first_container_migrates_and_makes_the_user_as_root(services: dict[str, Any]) -> None:
    init = services["airflow-init"]
    assert init["user"] == "0:0"
    assert init["environment"]["_AIRFLOW_DB_MIGRATE"] == "true"
    assert init["environment"]["_AIRFLOW_WWW_USER_CREATE"] == "true"
    assert init["environment"]["_AIRFLOW_WWW_USER_USERNAME"] == "airflow"
    assert init["entrypoint"] == ["/bin/bash"]
    assert "/entrypoint airflow version" in init["command"][1]
    assert all(services[name]["user"] == "50000:0" for name in AIRFLOW)


def test_the_stand_in_is_plain_postgresql_with_its_data_on_a_volume(services: dict[str, Any]) -> None:
    command = services["postgres"]["command"]
    assert command[0] == "postgres"
    assert command[1::2] == ["-c"] * 7
    settings = dict(part.split("=", 1) for part in command[2::2])
    assert "crdb" not in settings["search_path"]
    assert settings["default_transaction_isolation"] == "read committed"
    assert settings["fsync"] == "on"
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/cockroach-standin"]


def test_dags_come_from_a_folder_of_the_host(services: dict[str, Any]) -> None:
    for name in AIRFLOW:
        assert services[name]["volumes"][0] == {
            "type": "bind",
            "source": "/host/dags",
            "target": "/opt/airflow/content/dags",
            "read_only": True,
        }


def test_the_file_gives_every_dollar_to_the_container() -> None:
    text = made().render()
    assert text.replace("$$", "").count("$") == 0
    data = yaml.safe_load(text)
    assert '"celery@$$HOSTNAME"' in data["services"]["airflow-worker"]["healthcheck"]["test"][1]
    assert 'search_path="$$user", public' in data["services"]["postgres"]["command"]


# ---- measuring


class Engine:
    """Stands in for everything that needs an engine; tells what happened in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.calls: list[str] = []
        self.seen: dict[str, Any] = {}
        self.failure: BaseException | None = None
        engine = self

        class Prepared:
            references = IMAGES

        def with_images(prepared: object, keys: tuple[str, ...]) -> Prepared:
            engine.calls.append(f"images {' '.join(keys)}")
            return Prepared()

        class Project:
            def __init__(self, command: tuple[str, ...], name: str, file: Path) -> None:
                engine.seen["data"] = yaml.safe_load(file.read_text())
                engine.seen["dag"] = (file.parent / "dags" / f"{QUICKSTART}.py").read_text()
                engine.seen["mode"] = (file.parent / "dags").stat().st_mode & 0o777
                engine.seen["folder"] = file.parent
                self.name = name

            def up(self, within: int) -> None:
                engine.calls.append("up")

            def port(self, service: str, port: int) -> int:
                return 4711

            def down(self) -> None:
                engine.calls.append("down")

            def describe(self) -> str:
                return "what compose says"

        class User:
            def __init__(self, url: str, name: str, password: str) -> None:
                engine.seen["user"] = (url, name, password)

            def __enter__(self) -> "User":
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def run_once(self, dag_id: str, within: float) -> None:
                engine.calls.append(f"run {dag_id}")
                if engine.failure:
                    raise engine.failure

        monkeypatch.setattr(quickstart, "STATE", tmp_path)
        monkeypatch.setattr(quickstart, "compose_command", lambda: ["compose"])
        monkeypatch.setattr(quickstart, "with_images", with_images)
        monkeypatch.setattr(quickstart, "replace", lambda prepared, **_: prepared)
        monkeypatch.setattr(quickstart, "ComposeProject", Project)
        monkeypatch.setattr(quickstart, "User", User)
        monkeypatch.setattr(quickstart.engine, "client", lambda: "client")
        monkeypatch.setattr(quickstart.engine, "host", lambda: "127.0.0.1")
        monkeypatch.setattr(quickstart.engine, "bind_address", lambda: "127.0.0.1")
        monkeypatch.setattr(quickstart, "sweep_stale", lambda client: self.calls.append("sweep"))
        monkeypatch.setattr(quickstart, "remove_stack", lambda client, stack: self.calls.append("remove"))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    return Engine(monkeypatch, tmp_path)


def measure() -> dict[str, float]:
    return measure_quickstart(object())  # type: ignore[arg-type]


def test_measuring_boots_runs_the_dag_once_and_leaves_nothing(engine: Engine) -> None:
    measured = measure()
    assert engine.calls == [
        "images airflow database redis",
        "sweep",
        "up",
        f"run {QUICKSTART}",
        "down",
        "remove",
    ]
    assert set(measured) == {"healthy", "first_green"}
    assert 0 <= measured["healthy"] <= measured["first_green"]
    assert engine.seen["user"] == ("http://127.0.0.1:4711", "airflow", "airflow")
    assert engine.seen["dag"] == QUICKSTART_DAG
    assert engine.seen["mode"] == 0o755
    assert not engine.seen["folder"].exists()


def test_measuring_twice_takes_two_stacks_that_belong_to_this_process(engine: Engine) -> None:
    def labels() -> dict[str, str]:
        measure()
        found: dict[str, str] = engine.seen["data"]["services"]["redis"]["labels"]
        return found

    first, second = labels(), labels()
    assert first[RUN] != second[RUN]
    assert first[OWNER_PID] == second[OWNER_PID] == Owner.this_process().pid


@pytest.mark.parametrize("failure", [PeerError("red"), KeyboardInterrupt(), SystemExit(143)])
def test_what_was_started_is_removed_however_it_ends(engine: Engine, failure: BaseException) -> None:
    engine.failure = failure
    with pytest.raises(type(failure)):
        measure()
    assert engine.calls[-2:] == ["down", "remove"]
    assert not engine.seen["folder"].exists()


def test_the_command_prints_json_or_the_reason(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quickstart, "decide", lambda options: object())
    monkeypatch.setattr(quickstart.signal, "signal", lambda *_: None)
    assert main() == 0
    assert capsys.readouterr().out.startswith('{"healthy": ')
    engine.failure = PeerError("red")
    assert main() == 1
    assert capsys.readouterr().err == "bench: red\nwhat compose says\n"
    engine.failure = KeyboardInterrupt()
    assert main() == 130
