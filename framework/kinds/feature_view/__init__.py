"""FeatureView: a versioned, validated table of features."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.api.places import Place, Use
from framework.kinds.feature_view import connections
from framework.kinds.feature_view.build import consumes
from framework.kinds.feature_view.observed import FeatureViewState
from framework.kinds.feature_view.question import question
from framework.kinds.feature_view.rules import problems
from framework.kinds.feature_view.spec import CATEGORIES, FeatureViewSpec
from framework.kinds.feature_view.versions import RUNS, VERSIONS
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.kind import CrossProblem, Kind, Reference
from framework.ports import SourcePath, names_are_data


def _references(spec: FeatureViewSpec) -> tuple[Reference, ...]:
    sources = (
        Reference(Ref("FeatureView", source.featureView), f"spec.sources.{name}.featureView")
        for name, source in spec.sources.items()
        if source.featureView is not None
    )
    looked_at = (
        Reference(Ref("FeatureView", item.references.view), f"spec.expectations[{index}].references.view")
        for index, item in enumerate(spec.expectations)
        if item.references is not None
    )
    return (*sources, *looked_at)


def _entrypoints(spec: FeatureViewSpec) -> Mapping[str, str]:
    found = {
        f"spec.sources.{name}.function": source.function
        for name, source in spec.sources.items()
        if source.function is not None
    }
    if spec.transform is not None and spec.transform.function is not None:
        found["spec.transform.function"] = spec.transform.function
    return found


def _check(spec: FeatureViewSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    return (*problems(spec, specs), *connections.problems(spec, specs))


def _contract(spec: FeatureViewSpec) -> Mapping[str, str]:
    return {column.name: column.dtype for column in spec.columns}


def _keys(spec: FeatureViewSpec) -> frozenset[str]:
    return spec.meant


def _data(spec: FeatureViewSpec) -> tuple[SourcePath, ...]:
    """Versions of a Delta table are no files that a commit could name."""
    return tuple(
        SourcePath(name, source.path, names_are_data(source.options))
        for name, source in spec.sources.items()
        if source.path and "://" not in source.path and source.format != "delta"
    )


def _plan(desired: Desired[Any] | None, observed: Any, status: Status | None, now: datetime) -> Change:
    from framework.kinds.feature_view.plan import plan  # whoever only reads specs does without

    return plan(desired, observed, status, now)


def _places(spec: FeatureViewSpec) -> tuple[Place, ...]:
    return tuple(
        Place(f"spec.sources.{name}.path", source.path, Use.DATA)
        for name, source in spec.sources.items()
        if source.path and "://" not in source.path
    )


KIND = Kind(
    name="FeatureView",
    spec=FeatureViewSpec,
    categories=CATEGORIES,
    plan=_plan,
    references=_references,
    entrypoints=_entrypoints,
    check=_check,
    state=FeatureViewState,
    workload_version="1",
    rebuild=Category.MATERIALIZE,
    unless_equal="is computed again only if rows differ",
    runs=RUNS,
    versions=VERSIONS,
    question=question,
    contract=_contract,
    keys=_keys,
    consumes=consumes,
    data=_data,
    merge_keys={"columns": "name"},
    places=_places,
    secret_from={
        "spec.sources": "credentials come from where the storage's library looks for them, such as AWS_ACCESS_KEY_ID"
    },
)
