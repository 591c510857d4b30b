import pytest
from syncer_kit import PACKAGE_ROOT

from content_syncer.errors import SettingsError
from content_syncer.settings import ALL, read_settings
from content_syncer.source import Source, parse_source

SOURCE = {"CONTENT_SYNCER_GIT_REPO_SOURCE": "https://git.example.org/airflow.git"}


def test_the_defaults_are_productions() -> None:
    settings = read_settings(SOURCE)
    assert (settings.branch, settings.subpath, settings.interval) == ("main", "content", 300)
    assert str(settings.target) == "/opt/airflow/content"
    assert (settings.git_timeout, settings.once_timeout) == (60, 120)


def test_a_replaced_tree_stays_for_one_interval_unless_told_otherwise() -> None:
    assert read_settings(SOURCE | {"CONTENT_SYNCER_INTERVAL": "20"}).retention == 20
    assert read_settings(SOURCE | {"CONTENT_SYNCER_RETENTION": "7"}).retention == 7


@pytest.mark.parametrize("source", [{}, {"CONTENT_SYNCER_GIT_REPO_SOURCE": ""}])
def test_a_missing_source_is_named(source: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="CONTENT_SYNCER_GIT_REPO_SOURCE is not set"):
        read_settings(source)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONTENT_SYNCER_INTERVAL", "soon"),
        ("CONTENT_SYNCER_INTERVAL", "0"),
        ("CONTENT_SYNCER_INTERVAL", "inf"),
        ("CONTENT_SYNCER_GIT_TIMEOUT", "-1"),
        ("CONTENT_SYNCER_ONCE_TIMEOUT", "nan"),
        ("CONTENT_SYNCER_RETENTION", "x"),
        ("CONTENT_SYNCER_GIT_REPO_SUBPATH", "/content"),
        ("CONTENT_SYNCER_GIT_REPO_SUBPATH", "a/../../b"),
        ("CONTENT_SYNCER_TARGET", "content"),
        ("CONTENT_SYNCER_CACHE", "cache"),
        ("CONTENT_SYNCER_GIT_REPO_BRANCH", "-upload-pack=x"),
        ("CONTENT_SYNCER_GIT_REPO_BRANCH", "a:b"),
        ("CONTENT_SYNCER_GIT_REPO_BRANCH", "a b"),
    ],
)
def test_a_bad_value_is_refused_by_the_settings_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        read_settings(SOURCE | {variable: value})


@pytest.mark.parametrize(
    ("text", "subpath"), [("content/", "content"), (".", "."), ("./a/b", "a/b"), ("", "content")]
)
def test_a_subpath_is_normalized(text: str, subpath: str) -> None:
    assert read_settings(SOURCE | {"CONTENT_SYNCER_GIT_REPO_SUBPATH": text}).subpath == subpath


@pytest.mark.parametrize(
    ("text", "url", "user", "password"),
    [
        ("https://h.org/a.git", "https://h.org/a.git", None, None),
        ("https://u:p%40ss@h.org:8443/a.git", "https://h.org:8443/a.git", "u", "p@ss"),
        ("https://ghp_token@h.org/a", "https://h.org/a", "ghp_token", ""),
        ("ssh://git@h.org/a", "ssh://git@h.org/a", None, None),
        ("ssh://git:hunter2@h.org/a", "ssh://git@h.org/a", None, None),
        ("git@h.org:team/a.git", "git@h.org:team/a.git", None, None),
        ("/srv/a.git", "/srv/a.git", None, None),
    ],
)
def test_credentials_are_taken_out_of_an_address(
    text: str, url: str, user: str | None, password: str | None
) -> None:
    source = parse_source(text)
    assert (source.url, source.username, source.password) == (url, user, password)
    assert "hunter2" not in repr(source)
    assert "p@ss" not in repr(source)
    assert "ghp_token" not in repr(source)


@pytest.mark.parametrize(
    "text",
    [
        "https://u:se/cret@h.org/a",
        "https://h.org/a?private_token=secret",
        "https://u:secret@",
        "ext::sh -c secret",
        "ext::secret",
        "ftp://u:secret@h.org/a",
        "-secret",
        "secret/relative",
        "https://u:secret%0a@h.org/a",
    ],
)
def test_an_unusable_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingsError, match="CONTENT_SYNCER_GIT_REPO_SOURCE") as refusal:
        parse_source(text)
    assert "secret" not in str(refusal.value)
    assert "cret@" not in str(refusal.value)


@pytest.mark.parametrize("leak", ["p@ss", "p%40ss", "dTpwQHNz", "https://u:p%40ss@h.org/a", "https://x:y@z/"])
def test_a_secret_is_redacted_in_every_form_it_takes(leak: str) -> None:
    source: Source = parse_source("https://u:p%40ss@h.org/a")
    shown = source.redact(f"fatal: unable to access '{leak}'")
    assert "***" in shown
    assert not any(part in shown for part in ("p@ss", "p%40ss", "dTpwQHNz", "x:y"))


def test_the_contract_lists_every_setting_with_its_flag_and_default() -> None:
    contract = (PACKAGE_ROOT / "README.md").read_text()
    for setting in ALL:
        row = next(line for line in contract.splitlines() if line.startswith(f"| `{setting.variable}`"))
        assert f"`{setting.flag}`" in row
        assert not setting.default or f"`{setting.default}`" in row
