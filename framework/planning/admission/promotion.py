"""Which versions one environment takes over from another. Pure values and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from framework.api.meta import Ref
from framework.ports import ModelVersion


class PromotionCourse(StrEnum):
    """What becomes of one deployment."""

    PINS = "Pins"
    """Its version is pinned."""
    SAME = "Same"
    """It is pinned to that version already."""
    SKIPPED = "Skipped"
    """Nothing of it can be promoted now; nobody asked for it by name."""
    REFUSED = "Refused"
    """It cannot be promoted: nothing is."""


@dataclass(frozen=True)
class Item:
    """``before`` is what the target asks for now. ``adopt`` is the version where the target's registry lacks it but can
    read its files."""

    ref: Ref
    course: PromotionCourse
    message: str
    version: str = ""
    before: str = ""
    adopt: ModelVersion | None = None


@dataclass(frozen=True)
class Promotion:
    """``text`` is the target Environment's ``file`` at ``base`` as it would be, ``old`` as it is."""

    source: str
    target: str
    base: str
    items: tuple[Item, ...]
    file: str = ""
    old: str = ""
    text: str = ""

    @property
    def refused(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.course is PromotionCourse.REFUSED)

    @property
    def pins(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.course is PromotionCourse.PINS)
