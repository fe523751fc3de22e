"""A field that a later version adds, with a default that means "as before", renames nothing that is built or served."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framework.api.meta import Strict
from framework.kinds import KINDS
from framework.kinds.model_deployment.target import served, terms
from framework.planning.grammar.fingerprint import digest, identity, spec_json
from framework.rollout import canary
from framework.specs.snapshot import snapshot_digest
from tests.builders import desired, model_version
from tests.unit.kinds.deployments import REF, deployment_spec
from tests.world import World

_SERVING = (
    {},
    {"batching": {}, "transformer": "p.serving:tidy", "profiling": {"flush": "2s"}},
    {"resources": {"cpus": 2}, "replicas": {"max": 3}, "trial": {"rows": [{"distance": 1.0}]}, "timeout": "5s"},
)


def names() -> dict[str, str]:
    """Everything that is named by a spec, by what it is."""
    found: dict[str, str] = {}
    for serving in _SERVING:
        asked = desired(REF, deployment_spec(serving=serving))
        app, under = served(asked, model_version("1" * 10)).identity, terms(asked, "1" * 10)
        found |= {f"app {serving}": app, f"terms {serving}": f"{under.digest} {under.strategy}"}
        found[f"steps {serving}"] = canary.fingerprint(asked.spec.strategy.canary)
    world = World()
    world.source.poll()
    for ref, one in world.source.desired.items():
        kind, spec = KINDS[ref.kind], spec_json(one.spec)
        named = identity(spec, kind.categories, (), {}, kind.workload_version)
        found |= {f"{ref}": f"{named} {digest(ref, one.metadata, spec, named)}"}
    found["environment"] = snapshot_digest("local", KINDS["Environment"].spec(), {})
    return found


def extended() -> None:
    """Every model of a spec has one field more."""
    models = [model for model in _below(Strict) if model.__module__.startswith("framework.")]
    for model in models:
        choice = all(field.default is None for field in model.__pydantic_fields__.values())
        added = FieldInfo(annotation=int | None, default=None if choice else 7)
        model.__pydantic_fields__["addedLater"] = added
    for _ in range(8):  # those inside of others first, whatever their order
        for model in models:
            model.model_rebuild(force=True)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


def main() -> None:
    before = names()
    extended()
    wrote = str(deployment_spec().model_dump(mode="json")).count("addedLater")
    print(json.dumps([before, names(), wrote]))


def test_a_field_that_is_added_with_its_default_renames_nothing() -> None:
    command = [sys.executable, "-c", f"import {__name__} as test; test.main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after, wrote = _three(done.stdout)
    assert wrote > 10, "the fields are there"
    assert after == before


def _three(text: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    before, after, wrote = json.loads(text)
    return before, after, wrote
