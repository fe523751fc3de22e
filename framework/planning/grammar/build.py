"""What is built, as against what is asked for: how it is made, and the values that went in. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from framework.planning.grammar.fingerprint import short_hash
from framework.ports import Json


def build_name(recipe: str, data: Mapping[str, Json]) -> str:
    """10 hex characters that name what comes of ``recipe`` over ``data``: the same of both is the same build, for
    whatever commit or reason it was made."""
    return short_hash({"recipe": recipe, "data": dict(data)})
