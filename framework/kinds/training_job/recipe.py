"""What is kept with a version of how it was trained, so that it can be compared and trained again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from framework.api.meta import Stored
from framework.kinds.training_job.build import RENEWS
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.fingerprint import spec_json, without
from framework.ports import CodeRef, ModelVersion

KEY = "recipe"
"""Of a version's lineage."""
_OPERATING = frozenset({"retries", "timeout", "retrain", "deletion", "aliases"})
"""Fields that make no difference to what a run comes to."""


class KeptCode(Stored):
    """Code of the repository as a version was trained with it; ``files`` are git's names of their bytes, by path, empty
    where they were not to be had."""

    folder: str
    digest: str
    files: dict[str, str] = {}  # noqa: RUF012 (pydantic copies it)


class KeptRecipe(Stored):
    """How a version was trained, but for the data. ``spec`` is as ``spec_json`` has it, ``code`` None without any."""

    name: str
    spec: dict[str, Any]
    code: KeptCode | None = None


def recipe_of(desired: Desired[TrainingJobSpec], files: Mapping[str, str]) -> dict[str, Any]:
    """What a version's lineage keeps of ``desired``; ``files`` are git's names of the files of its code, by path."""
    code = desired.code
    kept = KeptRecipe(
        name=desired.recipe,
        spec={
            name: value for name, value in without(spec_json(desired.spec), RENEWS).items() if name not in _OPERATING
        },
        code=KeptCode(folder=code.folder, digest=code.digest, files=dict(files)) if code is not None else None,
    )
    return kept.model_dump(mode="json")


def kept_recipe(version: ModelVersion) -> KeptRecipe | None:
    """How ``version`` was trained; None for one from before that was kept, or where nobody can read it any more."""
    try:
        return KeptRecipe.model_validate(version.lineage[KEY])
    except (KeyError, ValidationError):
        return None


def kept_spec(recipe: KeptRecipe) -> TrainingJobSpec | None:
    """The spec; None where this version of mlopsctl would not take it any more."""
    try:
        return TrainingJobSpec.model_validate(recipe.spec)
    except ValidationError:
        return None


def kept_code(recipe: KeptRecipe, commit: str) -> CodeRef | None:
    """The code, at the commit that the version was trained for; None without any."""
    code = recipe.code
    return None if code is None else CodeRef(commit, code.folder, code.digest, tuple(sorted(code.files)))
