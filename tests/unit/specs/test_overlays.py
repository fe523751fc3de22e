"""An Environment's patches: merged before specs are understood, and their mistakes told where the patch stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.specs.language.explain import value_at
from framework.specs.patches import json_patch, strategic
from framework.specs.patches.room import Effort, Room
from framework.specs.patches.traced import Origin, PatchError, Trace, Traced
from framework.specs.yaml import paths
from tests.unit.specs.conftest import Project

LOCAL = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec:\n  patches:\n"
PRODUCTION = LOCAL.replace("local", "production")


def patches(project: Project, *entries: str, environment: str = LOCAL, file: str = "environments/local.yaml") -> None:
    project.write(file, environment + "".join(f"    - {entry}\n" for entry in entries))


def written(value: Any) -> Traced:
    """A value as it stands in an object's own file."""
    return Traced(value, Trace(Origin(False, ("spec",))))


def room(value: Any) -> Room:
    return Room(value, Effort(objects=1))


def merge(base: Any, patch: Any, keys: Mapping[str, str] | None = None) -> Any:
    return strategic.merge(written(base), patch, ("patch",), keys or {}, room(base)).value


def apply(document: Any, *operations: Mapping[str, Any]) -> Any:
    return json_patch.apply(written(document), operations, ("jsonPatch",), room(document)).value


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, [1], [1]),
    ],
)
def test_merge_follows_rfc_7386(base: Any, patch: Any, merged: Any) -> None:
    before = repr((base, patch))

    assert merge(base, patch) == merged
    assert repr((base, patch)) == before


FEATURES = {"features": "view", "evaluation.gates": "metric"}


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        # an item is found by its name, wherever it stands; new ones come last, in the patch's order
        ([{"view": "a"}, {"view": "b", "age": 1, "delay": 2}], [{"view": "b", "age": 5}],
         [{"view": "a"}, {"view": "b", "age": 5, "delay": 2}]),
        ([{"view": "a"}], [{"view": "c"}, {"view": "a", "age": 1}, {"view": "b"}],
         [{"view": "a", "age": 1}, {"view": "c"}, {"view": "b"}]),
        ([{"view": "a", "age": 1}], [{"view": "a", "age": None}], [{"view": "a"}]),
        ([{"view": "a", "columns": ["x", "y"]}], [{"view": "a", "columns": ["z"]}], [{"view": "a", "columns": ["z"]}]),
        # directives
        ([{"view": "a"}, {"view": "b"}], [{"view": "a", "$patch": "delete"}], [{"view": "b"}]),
        ([{"view": "a"}], [{"view": "b", "$patch": "delete"}], [{"view": "a"}]),
        ([{"view": "a"}, {"view": "a", "age": 1}, {"view": "b"}], [{"view": "a", "$patch": "delete"}], [{"view": "b"}]),
        ([{"view": "a"}, {"view": "b"}], [{"$patch": "replace"}, {"view": "c"}], [{"view": "c"}]),
        ([{"view": "a"}], [{"$patch": "replace"}], []),
        ([{"view": "a"}], [{"$patch": "replace"}, {"view": "c"}, {"view": "c"}], [{"view": "c"}, {"view": "c"}]),
        ([{"view": "a", "age": 1}], [{"view": "a", "$patch": "replace", "delay": 2}], [{"view": "a", "delay": 2}]),
        ([{"view": "a", "age": 1}], [{"view": "a", "$patch": "merge", "delay": 2}],
         [{"view": "a", "age": 1, "delay": 2}]),
        # nothing there before, or something else
        (None, [{"view": "a", "age": None}], [{"view": "a"}]),
        ("text", [{"view": "a"}], [{"view": "a"}]),
        (["text"], [{"view": "a"}], ["text", {"view": "a"}]),
        ([{"view": "a"}], [], [{"view": "a"}]),
        ([{"view": "a"}], None, "gone"),
        ([{"view": "a"}], {"view": "b"}, {"view": "b"}),
    ],
)  # fmt: skip
def test_lists_of_named_items_are_merged_item_by_item(base: Any, patch: Any, merged: Any) -> None:
    before = repr((base, patch))
    expected = {"kept": 1} if merged == "gone" else {"features": merged, "kept": 1}

    assert merge({"features": base, "kept": 1}, {"features": patch}, FEATURES) == expected
    assert repr((base, patch)) == before


def test_a_list_is_named_by_its_path_and_not_by_its_last_word() -> None:
    base = {"evaluation": {"gates": [{"metric": "auc", "min": 1}]}, "gates": [{"metric": "auc", "min": 1}]}
    patch = {"evaluation": {"gates": [{"metric": "f1"}]}, "gates": [{"metric": "f1"}]}
    merged = merge(base, patch, FEATURES)

    assert [gate["metric"] for gate in merged["evaluation"]["gates"]] == ["auc", "f1"]
    assert [gate["metric"] for gate in merged["gates"]] == ["f1"]


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"$patch": "replace", "d": 3}}, {"a": {"d": 3}}),
        ({"a": {"b": 1}, "x": 1}, {"a": {"$patch": "delete"}}, {"x": 1}),
        ({"a": {"b": 1}}, {"$patch": "replace", "c": 1}, {"c": 1}),
        ({"a": [1, 2]}, {"a": [{"$patch": "replace"}, 3]}, {"a": [3]}),
        ({}, {"a": {"$patch": "replace", "b": {"c": None, "d": 1}}}, {"a": {"b": {"d": 1}}}),
        ({"a": {"b": 1}}, {"a": {"$patch": "merge", "c": 2}}, {"a": {"b": 1, "c": 2}}),
    ],
)
def test_directives_in_mappings(base: Any, patch: Any, merged: Any) -> None:
    assert merge(base, patch) == merged


@pytest.mark.parametrize(
    ("patch", "at", "says"),
    [
        ({"features": [{"age": 1}]}, "features[0]", "the item lacks 'view', by which items of features are merged"),
        ({"features": [{"view": None}]}, "features[0]", "the item lacks 'view'"),
        ({"features": ["a"]}, "features[0]", "items of features are mappings with 'view', found the text 'a'"),
        ({"features": [{"view": "c"}, {"$patch": "replace"}]}, "features[1]", "stands first in a list"),
        ({"features": [{"view": "a", "x": 1}]}, "features[0].view", "2 items of features have view: a; write all of"),
        ({"features": [{"view": "c"}, {"view": "c"}]}, "features[1]", "two items of the patch have view: c; write all"),
        ({"features": [{"view": "b", "$patch": "remove"}]}, "features[0].$patch", "unknown directive, found the text"),
        ({"other": {"$patch": 1}}, "other.$patch", "unknown directive, found the number 1"),
        ({"other": [{"$patch": "delete", "a": 1}]}, "other[0].$patch", "items of other have no names to find them by"),
        ({"$patch": "delete"}, "$patch", "a spec as a whole cannot be removed"),
    ],
)
def test_what_cannot_be_merged_is_told(patch: Any, at: str, says: str) -> None:
    base = {"features": [{"view": "a"}, {"view": "a"}, {"view": "b"}], "other": [1]}
    with pytest.raises(PatchError) as error:
        merge(base, patch, FEATURES)

    assert paths.render(error.value.path) == f"patch.{at}"
    assert says in error.value.message


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["x", "y", ""]))
KEYS = st.sampled_from(["a", "b", "c", "items"])
NAMED = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2)),
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: [{"name": name, **rest} for name, rest in pairs])
TREES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(KEYS, below, max_size=3)),
    max_leaves=12,
)
SPECS = st.dictionaries(KEYS, TREES, max_size=4).flatmap(
    lambda spec: NAMED.map(lambda items: {**{key: spec[key] for key in spec if key != "items"}, "items": items})
)
NAMES = {"items": "name"}


@given(SPECS)
def test_an_empty_patch_changes_nothing_and_a_patch_of_nothing_is_itself(spec: dict[str, Any]) -> None:
    assert merge(spec, {}, NAMES) == spec
    assert merge(spec, {"$patch": "replace", **spec}, NAMES) == merge({}, spec, NAMES)
    assert merge(spec, dict.fromkeys(spec), NAMES) == {}


@given(SPECS, SPECS)
def test_a_patch_applied_twice_is_a_patch_applied_once(base: dict[str, Any], patch: dict[str, Any]) -> None:
    before = repr((base, patch))
    once = merge(base, patch, NAMES)

    assert merge(once, patch, NAMES) == once
    assert repr((base, patch)) == before


@given(SPECS, SPECS)
def test_every_part_is_traced_to_where_it_was_written(base: dict[str, Any], patch: dict[str, Any]) -> None:
    """Each scalar of the result stands, as it is, where its trace says."""
    merged = strategic.merge(written(base), patch, (), NAMES, room(base))
    for path, value in leaves(merged.value):
        origin = merged.trace.at(path).origin
        side, place = (patch, origin.path) if origin.patched else (base, origin.path[1:])
        assert value_at(side, place) == value


@given(SPECS, SPECS)
def test_a_json_patch_of_additions_is_traced_too(base: dict[str, Any], patch: dict[str, Any]) -> None:
    operations = [{"op": "add", "path": f"/{key}", "value": value} for key, value in patch.items()]
    operations += [{"op": "add", "path": "/items/0", "value": {"name": "first"}}]
    operations += [{"op": "remove", "path": f"/items/{len(patch['items'])}"}]
    changed = json_patch.apply(written(base), operations, (), room(base))
    for path, value in leaves(changed.value):
        origin = changed.trace.at(path).origin
        side: Any = operations if origin.patched else base
        assert value_at(side, origin.path if origin.patched else origin.path[1:]) == value


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, part in value.items() for leaf in leaves(part, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for index, part in enumerate(value) for leaf in leaves(part, (*path, index))]
    return [] if isinstance(value, dict | list) else [(path, value)]


A = {"baz": "qux", "foo": "bar"}


@pytest.mark.parametrize(
    ("document", "operation", "result"),
    [
        # RFC 6902, appendix A
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, A),
        ({"foo": ["bar", "baz"]}, {"op": "add", "path": "/foo/1", "value": "qux"}, {"foo": ["bar", "qux", "baz"]}),
        (A, {"op": "remove", "path": "/baz"}, {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, {"op": "remove", "path": "/foo/1"}, {"foo": ["bar", "baz"]}),
        (A, {"op": "replace", "path": "/baz", "value": "boo"}, {"baz": "boo", "foo": "bar"}),
        ({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
         {"op": "move", "from": "/foo/waldo", "path": "/qux/thud"},
         {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ({"foo": ["all", "grass", "cows", "eat"]}, {"op": "move", "from": "/foo/1", "path": "/foo/3"},
         {"foo": ["all", "cows", "eat", "grass"]}),
        ({"baz": "qux", "foo": ["a", 2, "c"]}, {"op": "test", "path": "/baz", "value": "qux"}, None),
        ({"baz": "qux", "foo": ["a", 2, "c"]}, {"op": "test", "path": "/foo/1", "value": 2}, None),
        ({"foo": "bar"}, {"op": "add", "path": "/child", "value": {"grandchild": {}}},
         {"foo": "bar", "child": {"grandchild": {}}}),
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux", "xyz": 123}, A),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, None),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["abc", "def"]}, {"foo": ["bar", ["abc", "def"]]}),
        # and the rest of its text
        ({"a": 1}, {"op": "add", "path": "/a", "value": 2}, {"a": 2}),
        ({"a": 1}, {"op": "add", "path": "", "value": {"b": 1}}, {"b": 1}),
        ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 1}}, {"b": 1}),
        ({"a": [1, 2]}, {"op": "add", "path": "/a/2", "value": 3}, {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, {"op": "replace", "path": "/a/1", "value": None}, {"a": [1, None]}),
        ({"a": [1, 2]}, {"op": "copy", "from": "/a", "path": "/a/-"}, {"a": [1, 2, [1, 2]]}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/a"}, {"a": 1}),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a"}, None),
        ({"a": 1.0}, {"op": "test", "path": "/a", "value": 1}, None),
        ({"a": {"x": [1], "y": 2}}, {"op": "test", "path": "/a", "value": {"y": 2, "x": [1.0]}}, None),
        ({"": {"": 1}}, {"op": "remove", "path": "//"}, {"": {}}),
        ({"0": {"01": 1}}, {"op": "replace", "path": "/0/01", "value": 2}, {"0": {"01": 2}}),
        ({"a/b": 1, "m~n": 2}, {"op": "move", "from": "/a~1b", "path": "/m~0n"}, {"m~n": 1}),
    ],
)  # fmt: skip
def test_operations_follow_rfc_6902(document: Any, operation: Any, result: Any) -> None:
    before = repr((document, operation))

    assert apply(document, operation) == (document if result is None else result)
    assert repr((document, operation)) == before


@pytest.mark.parametrize(
    ("operation", "at", "says", "meant"),
    [
        # RFC 6902, appendix A
        ({"op": "test", "path": "/baz", "value": "bar"}, "value", "failed: /baz is 'qux', expected 'bar'", None),
        ({"op": "add", "path": "/bar/bat", "value": 1}, "path", "path not found: /bar/bat ('bar' is not there)", "baz"),
        ({"op": "test", "path": "/ten", "value": "10"}, "value", "/ten is 10, expected '10'", None),
        # and the rest of its text
        ({"op": "test", "path": "/yes", "value": 1}, "value", "/yes is true, expected 1", None),
        ({"op": "test", "path": "/list", "value": [1]}, "value", "/list is [1, 2], expected [1]", None),
        ({"op": "test", "path": "", "value": {}}, "value", "the test failed: the spec is {", None),
        ({"op": "remove", "path": "/none"}, "path", "path not found: /none ('none' is not there)", None),
        ({"op": "replace", "path": "/lists", "value": 1}, "path", "path not found: /lists", "list"),
        ({"op": "replace", "path": "/spec/ten", "value": 1}, "path", "path not found: /spec/ten", "/ten"),
        ({"op": "replace", "path": "/map.key", "value": 1}, "path", "path not found: /map.key", "/map/key"),
        ({"op": "remove", "path": "/list/2"}, "path", "/list/2: index 2 is out of range, the list has 2 items", None),
        ({"op": "add", "path": "/list/3", "value": 1}, "path", "index 3 is out of range, the list has 2 items", None),
        ({"op": "remove", "path": "/list/-"}, "path", "'-' is no index of a list; only add knows '-', the end", None),
        ({"op": "add", "path": "/list/01", "value": 1}, "path", "/list/01: '01' is no index of a list", None),
        ({"op": "add", "path": "/list/x", "value": 1}, "path", "/list/x: 'x' is no index of a list", None),
        ({"op": "add", "path": "/list/-1", "value": 1}, "path", "'-1' is no index of a list", None),
        ({"op": "add", "path": "/ten/x", "value": 1}, "path", "('x' lies below the number 10)", None),
        ({"op": "add", "path": "/ten/x/y", "value": 1}, "path", "('x' lies below the number 10)", None),
        ({"op": "move", "from": "/none", "path": "/a"}, "from", "path not found: /none", None),
        ({"op": "copy", "from": "/list/9", "path": "/a"}, "from", "index 9 is out of range", None),
        ({"op": "move", "from": "/map", "path": "/map/key"}, "path", "/map cannot be moved into itself", None),
        ({"op": "remove", "path": ""}, "path", "a spec as a whole cannot be removed", None),
        ({"op": "add", "path": "", "value": [1]}, "value", "a spec is a mapping, found a list", None),
        ({"op": "copy", "from": "/ten", "path": ""}, "path", "a spec is a mapping, found the number 10", None),
    ],
)  # fmt: skip
def test_an_operation_that_fails_says_why(operation: Any, at: str, says: str, meant: str | None) -> None:
    document = {"baz": "qux", "ten": 10, "yes": True, "list": [1, 2], "map": {"key": 1}}
    before = repr(document)
    with pytest.raises(PatchError) as error:
        apply(document, {"op": "add", "path": "/list/0", "value": 0}, {"op": "remove", "path": "/list/0"}, operation)

    assert error.value.path == ("jsonPatch", 2, at)
    assert says in error.value.message
    assert error.value.suggestion == meant
    assert repr(document) == before
