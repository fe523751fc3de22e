"""What is looked at before a TrainingJob is planned, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from framework.api.meta import Ref, Stored
from framework.kinds.feature_view.observed import Published
from framework.kinds.training_job.asked import Triggers
from framework.kinds.training_job.champion import Champion
from framework.ports import CommitInfo, ModelVersion, ReadTable, RunState


class AliasPlace(Stored):
    """Where an alias points: since when, and which commit moved it there. ``version`` is empty where ``latest`` is none
    yet; ``problem`` says why nobody can have that version."""

    version: str
    commit: str
    since: datetime
    problem: str = ""


class OpenEpisode(NamedTuple):
    """A ModelMonitor sees drift."""

    id: str
    title: str


@dataclass(frozen=True)
class Surroundings:
    """What decides about triggers, beside the model that is there. ``views`` are those that are ready, and of which no
    other rows are on their way; ``waits_for`` names the others. ``episodes`` are open ones by monitor. ``pinned``: an
    operator has put an earlier commit in force. ``unwritable`` says why no commit can be put on the branch that is
    followed."""

    views: Mapping[str, Published] = field(default_factory=dict)
    waits_for: tuple[str, ...] = ()
    episodes: Mapping[str, OpenEpisode] = field(default_factory=dict)
    pinned: bool = False
    unwritable: str = ""


class TrainingJobState(Stored):
    version: str | None = None
    """The build of the identity that git asked for last and that was trained; it may have failed its gates."""
    identity: str = ""
    """What git asked for when ``version`` was found to be a build of it; empty in what was written before builds had
    names of their own, when they went by the identity."""
    deployable: bool = False
    gates: tuple[dict[str, Any], ...] = ()
    read: dict[str, ReadTable] = {}  # noqa: RUF012 (pydantic copies it)
    """What ``version`` was trained on, by view."""
    run: str | None = None
    """The run that is under way, if one is."""
    triggers: Triggers | None = None
    """None without any."""
    aliases: dict[str, AliasPlace] = {}  # noqa: RUF012 (pydantic copies it)

    def build_of(self, identity: str) -> str | None:
        """The build that is on record for ``identity``; None while there is none."""
        return self.version if self.version is not None and (self.identity or self.version) == identity else None


@dataclass(frozen=True)
class TrainingJobObserved:
    """``versions`` are the builds of the identity that git asks for, newest first. While there is none: ``views`` holds
    each upstream's published version, None where it is not ready at the identity that git asks for; ``build`` names
    what would be trained on them, empty until all are there; ``equal`` is the version of that build, where it was
    trained for another identity; ``champion`` is what serves now; ``files`` are git's names of the files of the code,
    by path, looked at once the run has succeeded. ``named`` are the versions that its aliases stand for, None for one
    that the registry does not have; ``moved_by`` is the commit in force, looked at where there are aliases.
    ``used_by`` is looked at for a removal only: deployments that serve a version of it or are about to.
    ``surroundings`` are for triggers, where there are any."""

    ref: Ref
    storage: str
    versions: tuple[ModelVersion, ...]
    run: RunState
    views: Mapping[str, Published | None] = field(default_factory=dict)
    build: str = ""
    equal: ModelVersion | None = None
    champion: Champion | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, ModelVersion | None] = field(default_factory=dict)
    moved_by: CommitInfo | None = None
    used_by: tuple[Ref, ...] = ()
    surroundings: Surroundings | None = None
