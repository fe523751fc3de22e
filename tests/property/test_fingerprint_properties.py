"""The example project, written in every style: its names stay; every field that rebuilds renames its resource."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from framework.api.categories import category_of
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.grammar.fingerprint import canonical, identity, short_hash, spec_json
from framework.specs.yaml import paths
from framework.specs.yaml.positions import parse

SPECS = Path(__file__).parents[2] / "mlops_specs"
OBJECTS: dict[Ref, dict[str, Any]] = {
    Ref(document.data["kind"], document.data["metadata"]["name"]): document.data["spec"]
    for file in sorted(SPECS.rglob("*.yaml"))
    for document in parse(file.name, file.read_bytes()).documents
    if document.data["kind"] in KINDS
}
UPSTREAM = {Ref("FeatureView", "above"): "0123456789"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


def understood(kind: str, spec: Mapping[str, Any]) -> BaseModel:
    return TypeAdapter(KINDS[kind].spec).validate_python(spec, strict=False)


def name(kind: str, spec: Mapping[str, Any]) -> str:
    return identity(spec_json(understood(kind, spec)), KINDS[kind].categories, ["c"], UPSTREAM, "1")


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


def with_defaults(spec: BaseModel) -> Any:
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True)


@given(json_values, st.randoms(use_true_random=False))
def test_key_order_never_changes_a_hash(value: Any, chance: random.Random) -> None:
    assert short_hash(shuffled(value, chance)) == short_hash(value)


@given(json_values, json_values)
def test_different_values_have_different_texts(one: Any, other: Any) -> None:
    """Equal texts are equal values: the text tells 1, 1.0, true and "1" apart."""
    if canonical(one) == canonical(other):
        assert repr(_sorted(one)) == repr(_sorted(other))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("float"), str):
            return float(value["float"]) if value["float"] in {"nan", "inf", "-inf"} else value
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, float):
        return value + 0.0
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(st.sampled_from(sorted(OBJECTS)), st.randoms(use_true_random=False), st.sampled_from([None, True, False]),
       st.integers(1, 120), st.text(alphabet="abc #:-", max_size=8))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_style_never_changes_an_identity(
    ref: Ref, chance: random.Random, flow: bool | None, width: int, comment: str
) -> None:
    text = yaml.safe_dump(shuffled(OBJECTS[ref], chance), default_flow_style=flow, sort_keys=False, width=width)
    if flow is False:
        text = "".join(f"{line}   # {comment}\n" if line.endswith(":") else f"{line}\n" for line in text.splitlines())
    parsed = parse("a.yaml", f"# {comment}\n{text}".encode())

    assert not parsed.problems
    assert name(ref.kind, parsed.documents[0].data) == name(ref.kind, OBJECTS[ref])


@pytest.mark.parametrize("ref", sorted(OBJECTS), ids=str)
def test_writing_the_defaults_out_never_changes_an_identity(ref: Ref) -> None:
    written = with_defaults(understood(ref.kind, OBJECTS[ref]))

    assert written != OBJECTS[ref]
    assert name(ref.kind, written) == name(ref.kind, OBJECTS[ref])


def other_values(value: Any) -> Iterator[Any]:
    """Values of the same type that a field is likely to accept."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, value / 2, value + 0.001)
    elif isinstance(value, str):
        yield from (f"{value}x", f"1{value}", f"{value}0", "String", "Int64", "parquet", "csv", "random", "delete",
                    "median", "min", "ks", "rollback", "latency_p50", "2013-02-25", "2013-03-30")  # fmt: skip


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


def changed(kind: str, spec: Any, path: tuple[str | int, ...], value: Any) -> Any | None:
    """``spec`` with another value at ``path``; None where the field takes none that we know."""
    for other in other_values(value):
        copied = copy.deepcopy(spec)
        parent = copied
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = other
        try:
            model = understood(kind, copied)
        except ValidationError:
            continue
        if spec_json(model) != spec_json(understood(kind, spec)):
            return copied
    return None


LEAVES = [
    (ref, path, spec, changed(ref.kind, spec, path, value))
    for ref in sorted(OBJECTS)
    for spec in [with_defaults(understood(ref.kind, OBJECTS[ref]))]
    for path, value in leaves(spec)
]
CASES = [(ref, path, spec, other) for ref, path, spec, other in LEAVES if other is not None]


@pytest.mark.parametrize(
    ("ref", "path", "spec", "other"), CASES, ids=[f"{ref}-{paths.render(path)}" for ref, path, *_ in CASES]
)
def test_each_field_renames_exactly_if_it_rebuilds(
    ref: Ref, path: tuple[str | int, ...], spec: Any, other: Any
) -> None:
    dotted = ".".join(part for part in path if isinstance(part, str))
    described = path[0] == "columns" and path[-1] == "description"
    rebuilds = category_of(dotted, KINDS[ref.kind].categories).rebuilds and not described

    assert (name(ref.kind, other) != name(ref.kind, spec)) is rebuilds


def test_most_fields_of_the_example_are_tried() -> None:
    """A guard of the test above, which skips fields that take no other value it knows."""
    assert len(CASES) > 0.75 * len(LEAVES) > 80
