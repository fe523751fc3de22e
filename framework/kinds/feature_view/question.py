"""What Polars is asked about a view before it is run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.kind import Question, SpecOf


def question(spec: Mapping[str, Any], spec_of: SpecOf) -> Question:
    """Its SQL, against the columns that its sources have: those of views as they are declared."""
    named = [
        Ref("FeatureView", source["featureView"]) for source in spec["sources"].values() if "featureView" in source
    ]
    above = {ref: found for ref in named if (found := spec_of(ref)) is not None}
    views = {
        ref.name: [[column["name"], column["dtype"]] for column in found["columns"]] for ref, found in above.items()
    }
    given = (source.get("path") for source in spec["sources"].values())
    return Question(
        library="polars",
        about="the SQL of FeatureViews",
        look="framework.workloads.features.look:look",
        asked={"spec": spec, "views": views},
        upstream=tuple(above),
        files=tuple(dict.fromkeys(path for path in given if path and "://" not in path)),
    )
