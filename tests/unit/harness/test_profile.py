"""A profile tells which service was in which phase when, and what idle cores were waiting for."""

import json
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.picture import to_svg
from harness.profile import PICTURE_FILE, TRACE_FILE, Profile, Ticks, read_ticks
from harness.timeline import NOBODY, Mark, Sample, Span, Timeline

SVG = "{http://www.w3.org/2000/svg}"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def timeline(
    *spans: Span,
    samples: tuple[Sample, ...] = (),
    marks: tuple[Mark, ...] = (),
    cpu: dict[str, float] | None = None,
    total: float = 10.0,
) -> Timeline:
    return Timeline(spans, marks, samples, cpu or {}, 2, total)


def shown(line: Timeline) -> list[str]:
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(line.table())
    console.file.close()
    return console.export_text().splitlines()


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


# ---- collecting


def test_times_are_relative_to_the_profiles_beginning() -> None:
    clock = Clock()
    profile = Profile(clock)
    clock.time = 101.5
    profile.begin("api-server", "create")
    clock.time = 102.0
    profile.mark("pushed")
    clock.time = 103.0
    profile.end("api-server", "create")
    line = profile.timeline()
    assert line.spans == (Span("api-server", "create", 1.5, 3.0),)
    assert line.marks == (Mark("pushed", 2.0),)
    assert line.total == 3.0


def test_a_span_ends_also_when_its_body_fails() -> None:
    profile = Profile(Clock())
    with pytest.raises(ValueError, match="no"), profile.span("redis", "wait"):
        raise ValueError("no")
    assert profile.timeline().spans == (Span("redis", "wait", 0.0, 0.0),)


def test_ending_a_phase_closes_the_one_that_began_last() -> None:
    clock = Clock()
    profile = Profile(clock)
    profile.begin("content", "push")
    clock.time += 1
    profile.begin("content", "push")
    clock.time += 1
    profile.end("content", "push")
    assert profile.timeline().spans == (Span("content", "push", 0.0), Span("content", "push", 1.0, 2.0))


def test_ending_a_phase_that_did_not_begin_is_an_error() -> None:
    profile = Profile(Clock())
    profile.begin("redis", "create")
    with pytest.raises(KeyError, match="redis is not in the phase wait"):
        profile.end("redis", "wait")


def test_spans_of_many_threads_are_all_kept_and_closed() -> None:
    profile = Profile()

    def work(number: int) -> None:
        for _ in range(100):
            with profile.span(f"service-{number}", "create"):
                profile.cpu(f"service-{number}", number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = profile.timeline()
    assert len(line.spans) == 800
    assert all(span.end is not None for span in line.spans)
    assert line.cpu == {f"service-{n}": n for n in range(8)}


def test_the_total_stands_still_once_the_profile_is_stopped() -> None:
    clock = Clock()
    profile = Profile(clock, read=lambda: None)
    with profile:
        clock.time += 4
    clock.time += 4
    profile.stop()
    assert profile.timeline().total == 4.0


# ---- the cores


def test_the_kernels_counters_are_read_without_counting_guests_twice(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 5 20 800 50 3 2 20 70 4\ncpu0 1 1\ncpu1 1 1\nintr 5\n")
    assert read_ticks(stat) == Ticks(busy=150, total=1000, cores=2)


def test_a_host_without_counters_gives_no_samples(tmp_path: Path) -> None:
    assert read_ticks(tmp_path / "stat") is None
    with Profile(read=lambda: None) as profile:
        pass
    assert profile.timeline().samples == ()
    assert profile.timeline().busy() is None


def test_samples_are_the_busy_fraction_between_two_readings() -> None:
    readings: Iterator[Ticks] = iter([Ticks(0, 0, 4), Ticks(30, 40, 4), Ticks(30, 80, 4)])
    sampled = threading.Event()

    def read() -> Ticks | None:
        found = next(readings, None)
        if found is None:
            sampled.set()
        return found

    with Profile(read=read, every=0.001) as profile:
        assert sampled.wait(5)
    line = profile.timeline()
    assert [sample.busy for sample in line.samples] == [0.75, 0.0]
    assert line.cores == 4


def test_the_last_piece_before_the_stop_is_sampled_without_waiting_for_the_interval() -> None:
    readings = iter([Ticks(0, 0, 2), Ticks(9, 10, 2)])
    with Profile(read=lambda: next(readings, None), every=3600) as profile:
        pass
    assert [sample.busy for sample in profile.timeline().samples] == [0.9]


def test_readings_that_did_not_move_are_no_sample() -> None:
    with Profile(read=lambda: Ticks(1, 1, 2), every=0.001) as profile:
        pass
    assert profile.timeline().samples == ()


# ---- what it tells


def test_a_service_is_ready_when_its_last_phase_ended() -> None:
    line = timeline(
        Span("redis", "create", 0, 1), Span("redis", "wait", 1, 2), Span("worker", "wait", 1), total=5
    )
    assert line.ready_at("redis") == 2
    assert line.ready_at("worker") is None
    assert line.ready_at("nobody") is None


def test_busy_and_idle_add_samples_up_by_their_length() -> None:
    line = timeline(samples=(Sample(1, 1, 1.0), Sample(4, 3, 0.5)))
    assert line.busy() == pytest.approx(0.625)
    assert line.idle() == pytest.approx(3.0)


def test_idle_time_is_given_to_the_service_that_was_waited_for() -> None:
    line = timeline(
        Span("migrate", "complete", 0, 2),
        Span("api-server", "wait", 2, 4),
        Span("redis", "create", 0, 4),
        samples=(Sample(1, 1, 0.5), Sample(2, 1, 0.5), Sample(3, 1, 0.5)),
    )
    assert line.reasons() == pytest.approx({"migrate": 2.0, "api-server": 1.0})
    assert list(line.reasons()) == ["migrate", "api-server"]


def test_several_that_were_waited_for_share_the_idle_time_of_a_sample() -> None:
    line = timeline(
        Span("a", "wait", 0, 1),
        Span("b", "boot", 0.5, 1),
        Span("c", "wait", 1, 2),
        samples=(Sample(1, 1, 0.25),),
    )
    assert line.reasons() == pytest.approx({"a": 1.0, "b": 0.5})


def test_samples_in_which_the_cores_had_work_are_no_reason_to_wait() -> None:
    line = timeline(Span("a", "wait", 0, 1), samples=(Sample(1, 1, 0.9),))
    assert line.reasons() == {}
    assert line.idle() == pytest.approx(0.2)


def test_an_open_wait_is_a_reason_until_the_end() -> None:
    line = timeline(Span("worker", "wait", 1), samples=(Sample(9, 1, 0.0),))
    assert line.reasons() == pytest.approx({"worker": 2.0})


def test_where_nobody_waits_for_a_service_the_other_phases_are_named() -> None:
    line = timeline(Span("content", "push", 0, 1), samples=(Sample(1, 1, 0.5), Sample(3, 1, 0.0)), total=3)
    assert line.reasons() == pytest.approx({NOBODY: 2.0, "content (push)": 1.0})


# ---- the table


def test_the_table_has_a_row_for_each_service_in_the_order_of_their_start() -> None:
    lines = shown(
        timeline(
            Span("worker", "create", 3.0, 3.5),
            Span("worker", "wait", 3.5, 8.0),
            Span("redis", "create", 0.2, 0.6),
            Span("triggerer", "wait", 4.0),
            cpu={"worker": 4.25, "sidecar": 0.5},
        )
    )
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert rows[0] == ["redis", "0.2 s", "0.4 s", "0.6 s", "–"]  # noqa: RUF001
    assert rows[1] == ["worker", "3.0 s", "0.5 s", "8.0 s", "4.2 s"]
    assert rows[2] == ["triggerer", "4.0 s", "–", "–", "–"]  # noqa: RUF001
    assert rows[3] == ["sidecar", "–", "–", "–", "0.5 s"]  # noqa: RUF001
    assert rows[4] == ["total", "", "", "10.0 s", "4.8 s"]
    assert rows[5] == ["cores busy", "", "", "not measured", ""]


def test_the_table_ends_with_what_idle_cores_waited_for_and_counts_the_rest() -> None:
    spans = [Span(f"s{n}", "wait", n, n + 1) for n in range(8)]
    samples = tuple(Sample(n + 1, 1, n / 10) for n in range(8))
    lines = shown(timeline(*spans, samples=samples))
    assert any("2 cores busy" in line and "35%" in line for line in lines)
    assert any("2 cores idle" in line and "10.4 s" in line for line in lines)
    waited = [line for line in lines if "waiting for" in line]
    assert "waiting for s0" in waited[0]
    assert len(waited) == 6
    assert any("2 others" in line and "1.4 s" in line for line in lines)


# ---- the trace


def test_the_trace_has_a_track_for_each_service_with_microseconds() -> None:
    trace = timeline(
        Span("redis", "create", 0.5, 1.25), Span("worker", "wait", 2.0), cpu={"redis": 0.12345}
    ).to_trace()
    events = trace["traceEvents"]
    tracks = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name"}
    spans = [e for e in events if e["ph"] == "X"]
    assert [(e["tid"], e["name"], e["ts"], e["dur"]) for e in spans] == [
        (tracks["redis"], "create", 500_000, 750_000),
        (tracks["worker"], "wait", 2_000_000, 8_000_000),
    ]
    assert [e["args"]["open"] for e in spans] == [False, True]
    assert trace["otherData"] == {"cores": 2, "total_s": 10.0, "cpu_s": {"redis": 0.123}}


def test_the_traces_counter_steps_at_the_beginning_of_each_sample() -> None:
    events = timeline(samples=(Sample(1, 1, 0.5), Sample(2, 1, 1.0))).to_trace()["traceEvents"]
    counters = [(e["ts"], e["args"]) for e in events if e["ph"] == "C"]
    assert counters == [
        (0, {"busy %": 50.0}),
        (1_000_000, {"busy %": 100.0}),
        (2_000_000, {"busy %": 100.0}),
    ]


def test_marks_are_instants_of_their_service_or_of_the_whole_trace() -> None:
    line = timeline(Span("redis", "wait", 0, 1), marks=(Mark("pushed", 1.0), Mark("beat", 2.0, "redis")))
    instants = [e for e in line.to_trace()["traceEvents"] if e["ph"] == "i"]
    assert [(e["name"], e["tid"], e["s"], e["ts"]) for e in instants] == [
        ("pushed", 0, "g", 1_000_000),
        ("beat", 1, "t", 2_000_000),
    ]


def test_every_event_of_the_trace_has_what_viewers_need() -> None:
    line = timeline(Span("a", "wait", 0), marks=(Mark("m", 1),), samples=(Sample(1, 1, 0.5),))
    for event in json.loads(json.dumps(line.to_trace()))["traceEvents"]:
        assert {"ph", "pid", "tid", "name"} <= event.keys()
        assert event["ph"] == "M" or isinstance(event["ts"], int)


# ---- the picture


def test_the_picture_is_xml_that_needs_nothing_from_elsewhere() -> None:
    svg = to_svg(timeline(Span("redis", "create", 0, 1), samples=(Sample(1, 1, 0.5),)))
    root = parsed(svg)
    assert root.tag == f"{SVG}svg"
    assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not any("href" in name for element in root.iter() for name in element.attrib)


def test_the_picture_names_services_phases_and_seconds() -> None:
    line = timeline(
        Span("redis", "create", 0, 4),
        Span("redis", "wait", 4, 10),
        marks=(Mark("pushed", 2.0), Mark("beat", 3.0, "redis")),
        samples=(Sample(10, 10, 0.25),),
        cpu={"redis": 1.5},
    )
    found = texts(to_svg(line, "The boot"))
    for text in ("The boot: 10.0 s", "redis", "create", "wait", "6.0 s", "pushed", "1.5 s", "0 s", "10 s"):
        assert text in found
    assert "◆ beat 3.0 s" in found
    assert "Cores busy 25%, idle for 15.0 core-seconds; waiting meanwhile for: redis 15.0" in found


def test_bars_begin_and_end_where_the_axis_says() -> None:
    svg = to_svg(timeline(Span("redis", "wait", 2.5, 5.0)))
    ticks = {e.text: float(e.attrib["x"]) for e in parsed(svg).iter(f"{SVG}text")}
    bar = next(e for e in parsed(svg).iter(f"{SVG}rect") if e.find(f"{SVG}title") is not None)
    second = ticks["1 s"] - ticks["0 s"]
    assert float(bar.attrib["x"]) == pytest.approx(ticks["0 s"] + 2.5 * second)
    assert float(bar.attrib["width"]) == pytest.approx(2.5 * second)


def test_each_phase_has_a_colour_of_its_own() -> None:
    phases = ["create", "wait", "complete", "push", "seed", "warm", "check"]
    svg = to_svg(timeline(*(Span("a", phase, n, n + 1) for n, phase in enumerate(phases))))
    bars = [e for e in parsed(svg).iter(f"{SVG}rect") if e.find(f"{SVG}title") is not None]
    assert len({bar.attrib["fill"] for bar in bars}) == len(phases)


def test_a_phase_that_never_ended_is_told_apart() -> None:
    svg = to_svg(timeline(Span("worker", "wait", 1)))
    assert "stroke-dasharray" in svg
    assert "9.0 s, unended" in texts(svg)
    assert "(never ended)" in svg


def test_text_in_the_picture_is_escaped() -> None:
    line = timeline(
        Span("<script>&\x1b", 'a"<b>', 0, 1), marks=(Mark("</text>", 1), Mark("<i>", 1, "<script>&\x1b"))
    )
    found = texts(to_svg(line, "<title>"))
    assert "<script>&?" in found
    assert 'a"<b>' in found
    assert "</text>" in found


@pytest.mark.parametrize("total", [0.0, 0.004, 0.7, 95.0, 4000.0])
def test_the_axis_has_a_handful_of_marks_however_long_the_boot_took(total: float) -> None:
    found = texts(to_svg(timeline(Span("a", "wait", 0, total), total=total)))
    assert 1 <= sum(text.endswith(" s") and text[0].isdigit() for text in found) <= 15


def test_a_profile_without_anything_still_has_a_picture_and_a_table() -> None:
    line = timeline(total=0.0)
    parsed(to_svg(line))
    assert any("total" in row for row in shown(line))
    assert line.to_trace()["traceEvents"]


# ---- files


def test_saving_writes_both_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    profile = Profile(read=lambda: None)
    with profile, profile.span("redis", "create"):
        pass
    profile.save(tmp_path / "last")
    profile.save(tmp_path / "last")
    assert {path.name for path in (tmp_path / "last").iterdir()} == {TRACE_FILE, PICTURE_FILE}
    assert json.loads((tmp_path / "last" / TRACE_FILE).read_text()) == profile.to_trace()
    assert (tmp_path / "last" / PICTURE_FILE).read_text(encoding="utf-8") == profile.to_svg()


def test_a_failed_save_leaves_the_earlier_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = Profile(read=lambda: None)
    profile.save(tmp_path)
    before = (tmp_path / TRACE_FILE).read_text()

    def full(self: Path, target: Path) -> Path:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        profile.save(tmp_path)
    assert (tmp_path / TRACE_FILE).read_text() == before
    assert len(list(tmp_path.iterdir())) == 2
