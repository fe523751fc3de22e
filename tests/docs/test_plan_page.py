"""docs/plan.md names every field of the JSON document, and none that is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controllers.revision import acceptance
from framework.kinds.environment.policies import DENIED
from framework.planning.admission import pruning
from framework.planning.grammar.changes import Verb
from framework.planning.plan import breaking
from framework.render.plan_document import FORMAT, plan_json
from tests.unit.render.plans import PLANS

PAGE = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
TABLE = PAGE.partition("\n## JSON\n")[2]
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", TABLE, flags=re.MULTILINE))
OPAQUE = {path for path, kind in ROWS.items() if kind in {"object", "any"}}
KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "time": (str,),
    "number": (int, float),
    "list": (list,),
    "object": (dict,),
    "any": (object,),
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if path in OPAQUE:
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value


def found() -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for plan in PLANS.values():
        for path, value in leaves(json.loads(plan_json(plan))):
            values.setdefault(path, []).append(value)
    return values


def test_every_field_is_documented_and_every_documented_field_exists() -> None:
    # A list that is empty, and a forecast that is not there, are fields whose parts the other samples have.
    whole = {path for path, values in found().items() if any(value not in ([], None) for value in values)}
    assert whole == set(ROWS)


def test_every_field_has_the_type_that_is_documented() -> None:
    for path, values in found().items():
        if path in ROWS:
            wrong = [value for value in values if value is not None and not isinstance(value, KINDS[ROWS[path]])]
            assert not wrong, path


def test_the_page_names_the_format_the_verbs_and_the_reasons() -> None:
    assert f"Format {FORMAT}." in PAGE
    for verb in Verb:
        assert f"`{verb.value}`" in TABLE
    reasons = set(re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Refusals")[2].partition("##")[0], re.MULTILINE))
    assert reasons == {
        breaking.REASON, DENIED, pruning.REASON, acceptance.HISTORY_REWRITTEN, acceptance.SIGNATURE_REQUIRED,
        acceptance.RESTART_REQUIRED, acceptance.NOT_EXECUTED,
    }  # fmt: skip
