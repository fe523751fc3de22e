"""Resources and the references between them."""

from __future__ import annotations

import re
from json import JSONDecodeError
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

API_VERSION = "mlops/v1alpha1"

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
MAX_NAME_LENGTH = 47
"""KubeRay caps a RayJob's name at 47 characters, so every name is held to it from the start."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]


class Ref(NamedTuple):
    """Names one resource of an environment; renders as ``Kind/name``."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read ``Kind/name``.

        Raises:
            ValueError: the text has another shape.
        """
        match = re.fullmatch(r"([A-Za-z]+)/([-a-z0-9]+)", text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form Kind/name")
        return cls(match[1], match[2])


class Strict(BaseModel):
    """Base of everything a user writes: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, defer_build=True)


class Stored(BaseModel):
    """Base of everything we stored ourselves: immutable, and unknown keys of a newer version are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


def problem_of(error: Exception) -> str:
    """What is wrong with a stored value, in a few words: what a library says about it is for programmers."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        place = ".".join(str(part) for part in found[0]["loc"])
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{place}: {found[0]['msg']}{more}" if place else f"{found[0]['msg']}{more}"
    return "it is no JSON" if isinstance(error, JSONDecodeError | RecursionError) else str(error)


ANNOTATION_PREFIX = "mlops/"
ANNOTATIONS = {
    "mlops/acknowledge-breaking": "the token that a refused plan shows; lets the change that breaks downstreams pass",
}
"""Annotations that mean something here, and what."""


def _known_annotation(key: str) -> str:
    if key.startswith(ANNOTATION_PREFIX) and key not in ANNOTATIONS:
        context = {"message": "unknown annotation", "word": key, "allowed": tuple(ANNOTATIONS)}
        raise PydanticCustomError("unknown_word", "{message} {word}", context)
    return key


_ANNOTATION_SCHEMA: dict[str, Any] = {
    "properties": {key: {"type": "string", "description": meaning} for key, meaning in ANNOTATIONS.items()},
    "propertyNames": {"anyOf": [{"enum": list(ANNOTATIONS)}, {"not": {"pattern": f"^{ANNOTATION_PREFIX}"}}]},
}
AnnotationKey = Annotated[str, AfterValidator(_known_annotation)]


class Metadata(Strict):
    """Who a resource is; nothing here ever forces a rebuild except the name."""

    name: Name = Field(
        description=f"Unique among its kind: lower-case letters, digits and '-', at most {MAX_NAME_LENGTH} characters; "
        "another name is another object"
    )
    owner: str | None = Field(None, description="Who answers for it: a team or a person")
    description: str | None = Field(None, description="What it is for, in a sentence")
    labels: dict[str, str] = Field(default_factory=dict, description="Marks of your own, to select objects by")
    annotations: dict[AnnotationKey, str] = Field(
        json_schema_extra=_ANNOTATION_SCHEMA,
        default_factory=dict,
        description="Notes of your own; those that begin with mlops/ have a meaning: "
        + "; ".join(f"{key}: {meaning}" for key, meaning in ANNOTATIONS.items()),
    )
