"""A result is shown to people, on the terminal and as Markdown."""

import pytest
from rich.console import Console

from bench.stats import Machine, Result, Revision, Series
from bench.table import markdown, number, table

RESULT = Result(
    Machine(2, 8 * 2**30, "6.1.0", "docker 20.10.24"),
    Revision("0123456789abcdef", True),
    (
        Series("boot", "s", (17.0, 16.0, 20.0, 18.0, 17.5), "Python imports | cores"),
        Series("run [warm]", "s", (0.0123,)),
    ),
    {"base_image": "itest/airflow-base:1"},
    "2026-11-24T20:00:00+00:00",
)


def test_the_table_has_each_measure_with_its_spread_and_what_bounds_it() -> None:
    console = Console(record=True, width=110, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(table(RESULT))
    console.file.close()
    text = console.export_text()
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    assert rows == [
        ["boot", "17.5 s", "±3%", "16.0–20.0", "5", "Python imports | cores"],  # noqa: RUF001
        ["run [warm]", "0.0123 s", "", "", "1", ""],
    ]
    assert "machine: 2 CPUs, 8.0 GiB, kernel 6.1.0, docker 20.10.24" in text
    assert "revision: 0123456789ab with uncommitted changes" in text
    assert "base image: itest/airflow-base:1" in text


def test_the_markdown_says_on_what_and_has_one_row_for_each_measure() -> None:
    lines = markdown(RESULT).splitlines()
    assert lines[0] == "* machine: 2 CPUs, 8.0 GiB, kernel 6.1.0, docker 20.10.24"
    rows = [line for line in lines if line.startswith("|")]
    assert rows[1] == "| --- | --: | --: | --: | --: | --- |"
    assert rows[2] == "| boot | 17.5 s | ±3% | 16.0–20.0 | 5 | Python imports \\| cores |"  # noqa: RUF001
    assert len(rows) == 4
    assert markdown(RESULT).endswith("|\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (1.5, "1.50"), (17.1, "17.1"), (99.96, "100"), (1234.5, "1234")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
