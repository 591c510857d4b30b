import sys
from pathlib import Path

import pytest
from syncer_kit import Origin, Setup, status

from content_syncer.errors import GateError

DAG = "# an airflow dag\nfrom operators.deploy import VALUE\nassert VALUE == {}\n"


@pytest.fixture
def gated(setup: Setup, origin: Origin) -> dict[str, str]:
    """Settings of a gate; the origin's DAG needs its operator."""
    origin.commit(
        {"content/plugins/operators/deploy.py": "VALUE = 1\n", "content/dags/rollout.py": DAG.format(1)}
    )
    return {"gate_python": sys.executable}


def test_a_revision_whose_dags_can_be_imported_is_published(
    setup: Setup, origin: Origin, gated: dict[str, str]
) -> None:
    syncer = setup.syncer(**gated)
    syncer.sync()
    origin.commit(
        {"content/plugins/operators/deploy.py": "VALUE = 2\n", "content/dags/rollout.py": DAG.format(2)}
    )
    syncer.sync()
    assert setup.content()["dags/rollout.py"] == DAG.format(2)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("airflow dag = (", "SyntaxError"),
        ("# airflow dag\nimport nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("# airflow dag\nimport sys; sys.exit('bye')", "SystemExit: bye"),
        ("# airflow dag\nimport os; os._exit(7)", "ended with code 7"),
        ("# airflow dag\nimport os; os._exit(0)", "without a verdict"),
    ],
)
def test_a_revision_that_breaks_the_import_is_not_published(
    setup: Setup, origin: Origin, gated: dict[str, str], text: str, error: str
) -> None:
    syncer = setup.syncer(**gated)
    syncer.sync()
    before = setup.content()
    bad = origin.commit({"content/dags/broken.py": text})
    for _ in range(2):
        with pytest.raises(GateError) as failure:
            syncer.sync()
        assert bad in str(failure.value)
        assert error in str(failure.value)
    assert setup.content() == before
    assert not list((setup.target / ".syncer/staging").iterdir())
    origin.commit({"content/dags/broken.py": None})
    syncer.sync()
    assert setup.content() == before


def test_an_operator_that_breaks_an_unchanged_dag_is_not_published(
    setup: Setup, origin: Origin, gated: dict[str, str]
) -> None:
    syncer = setup.syncer(**gated)
    syncer.sync()
    origin.commit({"content/plugins/operators/deploy.py": "VALUE = 3\n"})
    with pytest.raises(GateError, match=r"rollout.py: AssertionError"):
        syncer.sync()
    assert setup.content()["plugins/operators/deploy.py"] == "VALUE = 1\n"


def test_an_import_that_hangs_is_given_up(setup: Setup, origin: Origin, gated: dict[str, str]) -> None:
    origin.commit({"content/dags/slow.py": "# airflow dag\nimport time; time.sleep(600)"})
    with pytest.raises(GateError, match=r"took longer than 0\.5 s"):
        setup.syncer(**gated, gate_timeout="0.5").sync()


def test_a_python_that_is_not_there_is_an_error(setup: Setup, origin: Origin) -> None:
    with pytest.raises(GateError, match="CONTENT_SYNCER_GATE_PYTHON cannot be started"):
        setup.syncer(gate_python=str(origin.path / "python")).sync()


def test_the_status_says_what_was_rejected_why_and_since_when_also_after_a_restart(
    setup: Setup, origin: Origin, gated: dict[str, str]
) -> None:
    setup.run("once", **gated)
    bad = origin.commit({"content/dags/broken.py": "# airflow dag\nimport nowhere"})
    code, _, errors = setup.run("once", **gated)
    assert (code, "reason=gate" in errors) == (0, True)
    first = status(setup)["rejected"]
    assert first["revision"] == bad
    assert list(first["errors"]) == ["broken.py"]
    setup.run("once", **gated)
    assert status(setup)["rejected"]["since"] == first["since"]
    assert status(setup)["last_error_reason"] == "gate"
    origin.commit({"content/dags/broken.py": None})
    setup.run("once", **gated)
    assert status(setup)["rejected"] is None


def test_dag_files_see_neither_the_token_nor_a_served_folder(
    setup: Setup, origin: Origin, gated: dict[str, str], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    text = (
        f"# airflow dag\nimport os, pathlib\npathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))\n"
    )
    origin.commit({"content/dags/spy.py": text})
    code, _, errors = setup.run("once", **gated, interval="77")
    assert code == 0, errors
    assert "CONTENT_SYNCER_" not in seen.read_text()
    assert f"'{setup.target}/dags'" not in seen.read_text()
    assert ".syncer/staging" in seen.read_text()
