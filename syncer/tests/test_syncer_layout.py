import pytest

from content_syncer.errors import ContentError
from content_syncer.layout import (
    check_link,
    kept_while_bridging,
    published_blob,
    publishing_order,
    read_layout,
)
from content_syncer.objects import Entry


def listing(*paths: str, mode: str = "100644") -> list[Entry]:
    """Entries as git lists them for these files: their folders first."""
    folders = sorted(
        {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    )
    return [Entry(path, "040000", "tree", f"id of {path}") for path in folders] + [
        Entry(path, mode, "blob", f"id of {path}") for path in paths
    ]


def test_trees_come_in_publishing_order() -> None:
    trees = read_layout(
        listing(
            "dags/d.py", "shared/b/x.py", "shared/a/x.py", "plugins/sensors/s.py", "plugins/operators/o.py"
        )
    )
    slots = [tree.slot for tree in trees]
    assert slots == ["plugins/operators", "plugins/sensors", "plugins/a", "plugins/b", "dags"]
    assert publishing_order(reversed(slots)) == slots


def test_only_what_the_contract_names_is_published() -> None:
    trees = read_layout(listing("dags/b.py", "plugins/README.md", "plugins/x/y.py", "shared/README.md"))
    assert [tree.slot for tree in trees] == ["dags"]
    assert published_blob(Entry("a/__pycache__/b.pyc", "100644", "blob", "id"), frozenset()) is None


def test_without_dags_there_is_an_empty_dags_folder() -> None:
    trees = read_layout(listing("shared/lib/x.py"))
    assert [(tree.slot, tree.id is None) for tree in trees] == [("plugins/lib", False), ("dags", True)]


def test_a_submodule_is_refused_and_where_it_is_allowed_left_out() -> None:
    module = Entry("module", "160000", "commit", "id")
    with pytest.raises(ContentError, match=r"module is a submodule.*add submodules to CONTENT_SYNCER_ALLOW"):
        published_blob(module, frozenset())
    assert published_blob(module, frozenset({"submodules"})) is None


@pytest.mark.parametrize("name", ["operators", "sensors"])
def test_a_shared_folder_with_a_plugin_folders_name_is_an_error(name: str) -> None:
    with pytest.raises(ContentError, match=f"shared/{name} would be published over plugins/{name}"):
        read_layout(listing(f"shared/{name}/x.py", "dags/d.py"))


@pytest.mark.parametrize("path", ["dags", "plugins", "plugins/operators", "shared"])
def test_a_file_in_place_of_a_folder_is_an_error(path: str) -> None:
    with pytest.raises(ContentError, match=f"{path} is not a folder"):
        read_layout(listing(path))


def test_a_link_in_place_of_a_shared_folder_is_an_error() -> None:
    with pytest.raises(ContentError, match="shared/lib is not a folder"):
        read_layout([*listing("dags/d.py"), *listing("shared/lib", mode="120000")])


def test_a_revision_with_nothing_to_publish_is_an_error() -> None:
    with pytest.raises(ContentError, match="none of plugins, shared, dags"):
        read_layout([])


@pytest.mark.parametrize("path", ["dags/../../etc", "dags//x", "dags/.git/config", "dags/./x"])
def test_an_unsafe_path_is_an_error(path: str) -> None:
    with pytest.raises(ContentError, match="not a path inside"):
        published_blob(Entry(path, "100644", "blob", "id"), frozenset())


@pytest.mark.parametrize(
    ("path", "target"), [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../b/c"), ("a", "d/e")]
)
def test_a_link_inside_its_tree_is_taken(path: str, target: str) -> None:
    check_link(path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "/etc/passwd"),
        ("a", "../b"),
        ("d/a", "../../b"),
        ("a", "d/../.."),
        ("a", "d/link/../x"),
        ("a", ""),
    ],
)
def test_a_link_that_may_leave_its_tree_is_an_error(path: str, target: str) -> None:
    with pytest.raises(ContentError, match="leaves its tree"):
        check_link(path, target)


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (["a.py", "b.py"], ["a.py"], ["b.py"]),
        (["p/__init__.py", "p/m.py"], ["p/__init__.py"], ["p/m.py"]),
        (["p/__init__.py"], ["p.py"], []),
        (["p.py"], ["p/m.py"], []),
        (["p"], ["p/m.py"], []),
        (["p/m.py"], ["p"], []),
        (["q/p/__init__.py"], ["q/p.py"], []),
        (["q/p.py", "q/r.py"], ["q/p/__init__.py"], ["q/r.py"]),
    ],
)
def test_a_removed_file_is_kept_for_old_dags_unless_it_hides_a_new_module(
    old: list[str], new: list[str], kept: list[str]
) -> None:
    assert kept_while_bridging(old, new) == kept
