"""What names a resource: pinned values, because a changed name rebuilds everything that exists."""

from __future__ import annotations

import math
from typing import Any

import pytest

from framework.api.categories import Category
from framework.api.meta import Metadata, Ref, Strict
from framework.planning.grammar import fingerprint
from framework.planning.grammar.fingerprint import canonical, digest, identity, short_hash, spec_json

CATEGORIES = {"": Category.RETRAIN, "timeout": Category.METADATA, "serving": Category.METADATA,
              "serving.model": Category.REDEPLOY, "replicas": Category.RELOAD}  # fmt: skip
SPEC = {"rounds": 3, "timeout": "1h", "serving": {"route": "/a", "model": {"x": 1}}, "replicas": {"max": 2}}


def name(spec: dict[str, Any] | None = None, **changed: Any) -> str:
    arguments: dict[str, Any] = {
        "code": ["c1", "c2"],
        "upstream": {Ref("FeatureView", "a"): "1" * 10},
        "workload_version": "1",
        **changed,
    }
    return identity(SPEC if spec is None else spec, CATEGORIES, **arguments)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1.5, None, True]}, '{"a":[1.5,null,true],"b":1}'),
        ({"ü": "é"}, '{"ü":"é"}'),
        ((1, (2,)), "[1,[2]]"),
        (-0.0, "0.0"),
        (1.0, "1.0"),
        (1e300, "1e+300"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("-inf"), '{"float":"-inf"}'),
        (math.nan, '{"float":"nan"}'),
        ("true", '"true"'),
        (10**30, "1" + "0" * 30),
    ],
)
def test_canonical_has_one_text_for_a_value(value: Any, text: str) -> None:
    assert canonical(value) == text.encode()


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {1, 2}, b"x", [{"a": {None: 1}}]])
def test_canonical_refuses_what_is_not_json(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_names_stay_what_they_were() -> None:
    assert short_hash({"a": [1, 2.0, None, "é"]}) == "06bd428110"
    assert name() == "5e902a9e50"
    assert digest(Ref("TrainingJob", "a"), Metadata(name="a", labels={"t": "x"}), SPEC, name()) == "5a24ca190f"
    assert len(name()) == 10


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"spec": {**SPEC, "timeout": "2h"}}, True),
        ({"spec": {key: value for key, value in SPEC.items() if key != "timeout"}}, True),
        ({"spec": {**SPEC, "replicas": {"max": 9}}}, True),
        ({"spec": {**SPEC, "serving": {"route": "/b", "model": {"x": 1}}}}, True),
        ({"spec": {**SPEC, "serving": {"route": "/a", "model": {"x": 2}}}}, False),
        ({"spec": {**SPEC, "serving": {"route": "/a"}}}, False),
        ({"spec": {**SPEC, "rounds": 4}}, False),
        ({"spec": {**SPEC, "rounds": 3.0}}, False),
        ({"spec": dict(reversed(SPEC.items()))}, True),
        ({"code": ["c2", "c1"]}, True),
        ({"code": ["c1"]}, False),
        ({"code": ["c1", "c3"]}, False),
        ({"upstream": {}}, False),
        ({"upstream": {Ref("FeatureView", "b"): "1" * 10}}, False),
        ({"upstream": {Ref("FeatureView", "a"): "2" * 10}}, False),
        ({"workload_version": "2"}, False),
    ],
)
def test_an_identity_changes_with_what_is_built_and_only_then(changed: dict[str, Any], same: bool) -> None:
    assert (name(**changed) == name()) is same


def test_the_form_renames_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    before = name(), digest(Ref("A", "a"), Metadata(name="a"), SPEC, "x")
    monkeypatch.setattr(fingerprint, "_FORM", "2")

    assert name() != before[0]
    assert digest(Ref("A", "a"), Metadata(name="a"), SPEC, "x") != before[1]


@pytest.mark.parametrize("columns", [[{"name": "a", "description": "x"}], {"a": {"description": "x", "name": "a"}}])
def test_descriptions_of_columns_rebuild_nothing(columns: Any) -> None:
    plain = [{"name": "a"}] if isinstance(columns, list) else {"a": {"name": "a"}}

    assert name({"columns": columns}) == name({"columns": plain})
    assert name({"other": columns}) != name({"other": plain})


@pytest.mark.parametrize(
    ("ref", "metadata", "spec", "identity_"),
    [
        (Ref("A", "b"), {}, SPEC, "i"),
        (Ref("B", "a"), {}, SPEC, "i"),
        (Ref("A", "a"), {"labels": {"x": "y"}}, SPEC, "i"),
        (Ref("A", "a"), {"owner": "me"}, SPEC, "i"),
        (Ref("A", "a"), {}, {**SPEC, "timeout": "2h"}, "i"),
        (Ref("A", "a"), {}, SPEC, "j"),
    ],
)
def test_a_digest_changes_with_everything_written(ref: Ref, metadata: Any, spec: Any, identity_: str) -> None:
    assert digest(ref, Metadata(name="a", **metadata), spec, identity_) != digest(
        Ref("A", "a"), Metadata(name="a"), SPEC, "i"
    )


def test_the_form_of_a_spec_leaves_defaults_out_so_that_new_fields_rename_nothing() -> None:
    class Old(Strict):
        rounds: int = 1

    class New(Old):
        added: int | None = None
        nested: Old = Old()

    assert spec_json(Old(rounds=2)) == spec_json(New(rounds=2)) == {"rounds": 2}
    assert spec_json(New(rounds=1, added=0)) == {"added": 0}


def test_a_field_that_asks_for_the_same_anew_renames_what_is_asked_for_and_not_how_it_is_built() -> None:
    def recipe(spec: dict[str, Any]) -> fingerprint.Texts:
        return fingerprint.texts(spec, CATEGORIES, "dataset.refresh")

    plain, renewed = (
        recipe({**SPEC, "dataset": {"label": "y"}}),
        recipe({**SPEC, "dataset": {"label": "y", "refresh": 2}}),
    )
    assert renewed.rebuilding != plain.rebuilding
    assert renewed.recipe == plain.recipe == plain.rebuilding
    assert plain.how == "", "nothing is kept twice"
