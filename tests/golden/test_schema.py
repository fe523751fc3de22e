"""The exported JSON Schema as a whole: what editors complete, show and refuse."""

from __future__ import annotations

from collections.abc import Callable

from framework.kinds import KINDS
from framework.specs.language import schema


def test_the_schema_of_all_kinds(golden: Callable[[str, str], None]) -> None:
    golden("all.schema", schema.files(KINDS)["all.json"])
