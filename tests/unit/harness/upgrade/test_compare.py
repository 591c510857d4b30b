"""Two images' facts become findings: what is new counts, with its place and what to do; what was so before does not."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from upgrade_facts import a_class, any_facts, distributions, facts, imported, trigger, use

from harness.upgrade.compare import (
    configuration,
    dags,
    dependencies,
    deprecations,
    imports,
    providers,
    schema,
)
from harness.upgrade.compare import triggers as stored_triggers
from harness.upgrade.facts import Answers, Facts
from harness.upgrade.findings import Finding, Severity
from harness.upgrade.static import NO_ANSWERS, compare

SETTINGS = {"AIRFLOW__S__A": "1", "AIRFLOW__S__B_CMD": "x", "PATH": "/bin"}


def one(findings: Iterable[Finding], severity: Severity = Severity.BREAKS) -> Finding:
    """The only finding of that severity."""
    found = [finding for finding in findings if finding.severity is severity]
    assert len(found) == 1, found
    return found[0]


def none_but_notes(findings: Iterable[Finding]) -> bool:
    return {finding.severity for finding in findings} <= {Severity.NOTE}


@given(any_facts())
def test_the_same_image_twice_survives_whatever_is_wrong_with_it(same: Facts) -> None:
    assert none_but_notes(compare(same, same, NO_ANSWERS, SETTINGS))


@given(any_facts(), any_facts())
def test_any_two_images_can_be_compared(old: Facts, new: Facts) -> None:
    for finding in compare(old, new, NO_ANSWERS, SETTINGS):
        assert finding.subject
        assert finding.reason


@given(distributions, distributions)
def test_every_distribution_that_differs_is_told_once(before: dict[str, str], after: dict[str, str]) -> None:
    found = dependencies.compare(facts(distributions=before), facts(distributions=after))
    told = [line.partition(": ")[0] for finding in found for line in finding.detail.splitlines()]
    differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert sorted(told) == sorted(differ)


def test_a_dependency_that_went_and_that_content_imports_breaks_it_by_name() -> None:
    content = {"uses": [use("backoff:expo")], "imports": {"backoff:expo": imported()}}
    old = facts(content, distributions={"backoff": "2.2.1"}, modules={"backoff": ["backoff"]})
    new = facts({**content, "imports": {"backoff:expo": imported("ModuleNotFoundError: no backoff")}})
    found = one(dependencies.compare(old, new))
    assert (found.subject, found.where) == ("backoff", ("dags/a.py:1",))
    assert none_but_notes(imports.compare(old, new))  # told once


def test_a_dependency_that_went_and_whose_module_another_has_does_not_matter() -> None:
    content = {"uses": [use("backoff:expo")], "imports": {"backoff:expo": imported()}}
    old = facts(content, distributions={"backoff": "2.2.1"}, modules={"backoff": ["backoff"]})
    assert none_but_notes(dependencies.compare(old, facts(content)))


def test_an_import_that_fails_on_the_new_image_alone_breaks_and_names_its_place() -> None:
    uses = [use("airflow.gone:X", "plugins/operators/a.py:7")]
    old = facts({"uses": uses, "imports": {"airflow.gone:X": imported()}})
    new = facts({"uses": uses, "imports": {"airflow.gone:X": imported("ModuleNotFoundError: airflow.gone")}})
    found = one(imports.compare(old, new))
    assert found.subject == "airflow.gone.X"
    assert found.where == ("plugins/operators/a.py:7",)
    assert none_but_notes(imports.compare(new, new))


def test_a_conditional_import_that_fails_is_a_note() -> None:
    uses = [use("airflow.gone:X", guarded=True)]
    old = facts({"uses": uses, "imports": {"airflow.gone:X": imported()}})
    new = facts({"uses": uses, "imports": {"airflow.gone:X": imported("ImportError: no")}})
    assert one(imports.compare(old, new), Severity.NOTE)


def test_a_module_that_fails_by_an_import_that_is_told_is_not_told_again() -> None:
    trace = "Traceback:\n  ...\nImportError: no"
    uses = [use("airflow.gone:X")]
    old = facts({"uses": uses, "imports": {"airflow.gone:X": imported()}, "modules": {"m": "", "n": ""}})
    new = facts(
        {
            "uses": uses,
            "imports": {"airflow.gone:X": imported("ImportError: no")},
            "modules": {"m": trace, "n": "Traceback:\nTypeError: other"},
        }
    )
    breaks = [f.subject for f in imports.compare(old, new) if f.severity is Severity.BREAKS]
    assert breaks == ["airflow.gone.X", "n"]


def a_dag(*tasks: str, error: str = "") -> dict[str, object]:
    return {
        "file": "dags/a.py",
        "tasks": dict.fromkeys(tasks, "x.Op"),
        "serialized": {},
        "unserializable": error,
    }


def test_a_dag_that_cannot_be_imported_any_more_is_told_with_its_full_error() -> None:
    trace = "Traceback:\n  line\nAttributeError: gone"
    new = facts({"dag_errors": {"dags/a.py": trace}})
    found = one(dags.compare(facts({"dags": {"d": a_dag("t")}}), new, NO_ANSWERS))
    assert found.detail == trace
    assert "AttributeError: gone" in found.reason
    assert none_but_notes(dags.compare(new, new, NO_ANSWERS))


def test_dags_and_tasks_that_went_break_runs_in_flight() -> None:
    old = facts({"dags": {"d": a_dag("kept", "gone"), "e": a_dag()}})
    found = list(dags.compare(old, facts({"dags": {"d": a_dag("kept")}}), NO_ANSWERS))
    assert [(f.subject, f.detail) for f in found] == [("d", "gone"), ("e", "")]
    assert {f.severity for f in found} == {Severity.BREAKS}


def test_a_dag_that_is_stored_in_a_way_the_new_version_cannot_read_breaks() -> None:
    same = facts({"dags": {"d": a_dag()}})
    found = one(dags.compare(same, same, Answers(classes={}, dags={"d": "ValueError: version 9"})))
    assert "ValueError: version 9" in found.reason


def changed_class(before: object, after: object, **used: object) -> list[Finding]:
    uses = [use("airflow.providers.x:Op", **used)]
    old = facts({"uses": uses, "imports": {"airflow.providers.x:Op": imported(cls=before)}})
    new = facts({"uses": uses, "imports": {"airflow.providers.x:Op": imported(cls=after)}})
    return list(providers.compare(old, new))


def test_a_parameter_that_went_breaks_content_that_passes_it() -> None:
    before, after = a_class({"token": "None", "other": "1"}), a_class({"other": "1"})
    assert "token" in one(changed_class(before, after, keywords=["token"])).reason
    assert not changed_class(before, after, keywords=["other"])


def test_a_parameter_that_became_required_breaks_calls_without_it() -> None:
    before, after = a_class({"token": "None"}), a_class({"token": "None", "conn": "required"})
    assert "conn" in one(changed_class(before, after, keywords=["token"])).reason
    assert not changed_class(before, after, keywords=["token", "conn"])


def test_another_default_and_an_attribute_that_went_degrade() -> None:
    before, after = a_class({"retries": "0", "x": "1"}, ["poke"]), a_class({"retries": "3", "x": "1"})
    found = changed_class(before, after, keywords=["x"], attributes=["poke"])
    assert {f.severity for f in found} == {Severity.DEGRADES}
    assert "0 → 3" in found[0].reason
    assert "poke" in found[1].reason


def test_the_provider_of_a_nested_module_is_found() -> None:
    have = {"apache-airflow-providers-common-compat": "1", "apache-airflow-providers-slack": "9"}
    assert providers.provider("airflow.providers.common.compat.sdk:DAG", have).endswith("common-compat")
    assert providers.provider("airflow.providers.slack.hooks.slack:SlackHook", have).endswith("slack")
    assert providers.provider("airflow.models:DAG", have) == ""


def settings(after: dict[str, object], value: str = "1") -> list[Finding]:
    old = facts(configuration={"options": {"core.key": "0"}})
    return [
        finding
        for finding in configuration.compare(old, facts(configuration=after), {"AIRFLOW__CORE__KEY": value})
        if finding.subject.startswith("AIRFLOW__")
    ]


def test_settings_whose_keys_went_moved_or_are_refused_are_told_apart() -> None:
    gone = one(settings({"removed": {"core.key": "Use another."}}), Severity.DEGRADES)
    assert gone.subject == "AIRFLOW__CORE__KEY"
    assert gone.advice == "Use another."
    still_read = one(settings({"renamed": {"core.key": "api.name"}}), Severity.DEGRADES)
    assert "AIRFLOW__API__NAME" in still_read.advice
    moved = one(settings({"moved": {"core.key": "api.name"}}))
    assert "not read" in moved.reason
    kept: dict[str, object] = {"options": {"core.key": "0"}, "invalid": {"core.key": ["bad", "Use good."]}}
    assert one(settings(kept, "bad")).advice == "Use good."
    assert not settings(kept, "good")


def test_a_key_that_neither_version_knows_is_not_the_upgrades() -> None:
    assert not list(configuration.compare(facts(), facts(), {"AIRFLOW__CORE__NEVER": "1"}))


def test_a_setting_that_names_a_command_is_the_keys() -> None:
    old = facts(configuration={"options": {"core.key": "0"}})
    found = list(configuration.compare(old, facts(), {"AIRFLOW__CORE__KEY_CMD": "cat"}))
    assert one(found, Severity.DEGRADES).subject == "AIRFLOW__CORE__KEY_CMD"


def test_changed_defaults_matter_only_where_nothing_is_set() -> None:
    old = facts(configuration={"options": {"core.key": "0"}})
    new = facts(configuration={"options": {"core.key": "1"}})
    assert "'0' → '1'" in one(configuration.compare(old, new, {}), Severity.NOTE).detail
    assert not list(configuration.compare(old, new, {"AIRFLOW__CORE__KEY": "0"}))


def test_a_deprecation_degrades_when_it_is_new() -> None:
    told = {"category": "DeprecationWarning", "message": "Use Y", "where": "dags/a.py:3"}
    quiet, loud = facts(), facts({"warnings": [told]})
    found = one(deprecations.compare(quiet, loud), Severity.DEGRADES)
    assert found.where == ("dags/a.py:3",)
    assert none_but_notes(deprecations.compare(loud, loud))


def test_an_import_through_a_shim_is_told_with_its_places() -> None:
    told = {"category": "DeprecationWarning", "message": "m.X moved", "where": ""}
    uses = [use("m:X", "dags/a.py:1"), use("m:X", "dags/b.py:2")]
    new = facts({"uses": uses, "imports": {"m:X": imported(warnings=[told])}})
    found = one(deprecations.compare(facts(), new), Severity.DEGRADES)
    assert (found.subject, found.where) == ("m.X", ("dags/a.py:1", "dags/b.py:2"))


def test_a_deprecation_of_an_import_that_may_not_be_done_is_a_note() -> None:
    told = {"category": "DeprecationWarning", "message": "m.X moved", "where": ""}
    imports = {"m:X": imported(warnings=[told])}
    new = facts({"uses": [use("m:X", guarded=True)], "imports": imports})
    assert one(deprecations.compare(facts(), new), Severity.NOTE)
    taken = facts({"uses": [use("m:X", guarded=True)], "imports": imports, "warnings": [told]})
    assert one(deprecations.compare(facts(), taken), Severity.DEGRADES)


OWN = "sensors.wait.WaitTrigger"


def test_a_trigger_of_content_that_cannot_be_imported_breaks_and_its_new_place_is_named() -> None:
    old = facts({"triggers": {OWN: trigger(OWN)}})
    new = facts({"triggers": {"sensors.moved.WaitTrigger": trigger("sensors.moved.WaitTrigger")}})
    assert OWN in stored_triggers.questions(old, new)["classes"]
    error = "ModuleNotFoundError: No module named 'sensors.wait'"
    found = one(stored_triggers.compare(old, new, Answers(classes={OWN: error}, dags={})))
    assert found.subject == OWN
    assert "sensors.moved.WaitTrigger" in found.advice


def test_a_providers_trigger_counts_when_content_imports_something_that_defers_to_it() -> None:
    path = "airflow.providers.x.triggers.y.YTrigger"
    answer = Answers(classes={path: "ImportError: gone"}, dags={})
    unused = facts(triggers={path: trigger(path)})
    assert one(stored_triggers.compare(unused, facts(), answer), Severity.NOTE).detail.startswith(path)
    content = {"uses": [use("x:Op")], "imports": {"x:Op": imported(cls=a_class(triggers=[path]))}}
    assert one(stored_triggers.compare(facts(content, triggers={path: trigger(path)}), facts(), answer))


def test_a_trigger_that_does_not_take_what_is_stored_breaks() -> None:
    old = facts({"triggers": {OWN: trigger(OWN, ["moment"])}})
    surplus = facts({"triggers": {OWN: trigger(OWN, ["other"])}})
    assert "takes no moment" in one(stored_triggers.compare(old, surplus, NO_ANSWERS)).reason
    needy = facts({"triggers": {OWN: trigger(OWN, ["moment", "zone"], required=["zone"])}})
    assert "needs zone" in one(stored_triggers.compare(old, needy, NO_ANSWERS)).reason


def test_what_the_schema_loses_and_gains_is_listed() -> None:
    old = facts(
        schema={"tables": {"t": {"a": "INTEGER", "b": "TEXT"}, "gone": {"x": "TEXT"}}, "revision": "1"}
    )
    new = facts(schema={"tables": {"t": {"a": "BIGINT", "c": "TEXT"}, "added": {}}, "revision": "2"})
    found = {f.subject: f for f in schema.compare(old, new)}
    assert found["removed tables"].detail == "gone: 1 columns"
    assert found["removed columns"].detail == "t.b: TEXT"
    assert found["changed columns"].detail == "t.a: INTEGER → BIGINT"
    assert found["new columns"].detail == "t.c: TEXT"
    assert "1 → 2" in found["revision"].reason


def test_a_section_that_is_missing_makes_its_checks_unknown_instead_of_wrong() -> None:
    old = facts({"dags": {"d": a_dag("t")}})
    new = facts(failed={"content": "Traceback:\nMemoryError: full"})
    found = [f for f in compare(old, new, NO_ANSWERS, {}) if f.check == "dags"]
    assert one(found, Severity.UNKNOWN).reason.endswith("MemoryError: full")
    assert len(found) == 1


def test_questions_that_are_not_answered_are_unknown() -> None:
    found = compare(facts(), facts(), "the container was killed", {})
    assert "killed" in one(found, Severity.UNKNOWN).reason
