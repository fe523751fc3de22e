"""Resources and the references between them."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, alias_generator=None)


class Stored(BaseModel):
    """Base of everything we stored ourselves: immutable, and unknown keys of a newer version are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Metadata(Strict):
    """Who a resource is; nothing here ever forces a rebuild except the name."""

    name: Name
    owner: str | None = None
    description: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
