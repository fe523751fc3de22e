"""The columns of a FeatureView, and how one that is not there is told. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import BaseModel

from framework.api.meta import Ref
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.planning.grammar.kind import CrossProblem


def columns_of(specs: Mapping[Ref, BaseModel], view: str) -> Mapping[str, str]:
    """Dtype by column of a FeatureView, in its order; empty where there is none of that name."""
    spec = specs.get(Ref("FeatureView", view))
    return {column.name: column.dtype for column in spec.columns} if isinstance(spec, FeatureViewSpec) else {}


def no_column(path: str, column: str, owner: str, known: Collection[str]) -> CrossProblem:
    """``owner`` has no such column, among those that it has."""
    return CrossProblem(path, f"{owner} has no column {column!r}", allowed=tuple(known), wanted=column)
