"""What a spec kind consists of. ``framework.kinds.KINDS`` holds one per kind; nothing else branches on kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref, Stored
from framework.api.places import Place
from framework.planning.grammar.changes import Change, Desired, Status
from framework.ports import Json, SourcePath

Behind = Callable[[Desired[Any], Mapping[str, Any], Mapping[Ref, Mapping[str, Any]]], tuple[Ref, ...]]
"""What git asks for, the state on record, and those of its upstreams -> the upstreams that have moved on since."""
PlanFunction = Callable[[Desired[Any] | None, Any, Status | None, datetime], Change]


@dataclass(frozen=True)
class Reference:
    """A resource that a spec names, at the dotted path where it names it. One that only ``informs`` must be there, but
    nothing is built from it: it is no upstream, and may well lie downstream."""

    ref: Ref
    path: str
    informs: bool = False


@dataclass(frozen=True)
class Borrowed:
    """A word at a dotted path of a spec that means what ``ref`` says it does, e.g. an alias of a model. A commit in
    which that says something else asks for something else here."""

    path: str
    word: str
    ref: Ref


@dataclass(frozen=True)
class CrossProblem:
    """A mistake that shows only between resources, at a dotted path of this one, or of ``ref`` where it is set.
    ``wanted`` is the name that was written where one of ``allowed`` is needed, so that a guess can be made."""

    path: str
    message: str
    allowed: tuple[str, ...] = ()
    suggestion: str | None = None
    ref: Ref | None = None
    wanted: str | None = None


@dataclass(frozen=True)
class Claim:
    """What only one resource of a kind may have, where the spec asks for it. ``taken`` is told to everybody else who
    asks for the same, after the name of one that has it: ``serves /delay already``. ``within`` are values that would
    hold this one: nobody else may have them either. ``handed_over``: whoever has it keeps it until the one that asks
    for it serves."""

    path: str
    value: str
    taken: str
    within: tuple[str, ...] = ()
    handed_over: bool = False


@dataclass(frozen=True)
class Needs:
    """What a resource takes from the cluster at its peak: while its run lasts, or ``standing`` for as long as it is
    there (replicas). ``least`` are the CPUs and GPUs that it cannot do without; None: all of it. ``accelerator`` is the
    type that its nodes must have, ``labels`` select them by what they are labelled with."""

    cpus: float = 0.0
    gpus: float = 0.0
    standing: bool = False
    least: tuple[float, float] | None = None
    accelerator: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exposure:
    """How callers meet a new version of what answers them: ``first_weight`` percent of the requests at first, and all
    of them after ``seconds`` at the soonest, None where a person has to say so."""

    route: str
    first_weight: int
    seconds: float | None


@dataclass(frozen=True)
class Runs:
    """A kind whose work is a run on the cluster. ``verb`` is what a run does, for people; ``done`` are the reasons of
    the events that end one that did its work, whatever came of it."""

    verb: str
    done: frozenset[str]


class Says(Enum):
    """What an event says of the versions of its resource."""

    COUNTS = auto()
    """From now on a version is the one that counts."""
    TRIED = auto()
    """A candidate is tried beside it."""
    WEIGHED = auto()
    """Another share of the traffic, ``after``, goes to the candidate."""
    GIVEN_UP = auto()
    """The candidate gets no further."""


@dataclass(frozen=True)
class Versions:
    """A kind whose versions take over from one another, and how the log tells of that. ``says`` goes by the reason of
    an event, ``label`` gives the version that one with such data is about."""

    says: Mapping[str, Says]
    label: Callable[[Ref, Mapping[str, Json]], str]


class ModelName(NamedTuple):
    """A model version as the registry knows it."""

    training: str
    version: str

    def __str__(self) -> str:
        return f"{self.training}@{self.version}"


@dataclass(frozen=True)
class Serves:
    """A kind that answers requests with a model. ``exposure`` goes by a spec; ``requests`` are those that were counted
    by what was observed, None where nobody counts. What is ``live`` by a status, or why that is not to be taken over
    now, can be pinned in another environment, where ``path`` leads to the version of the model that a spec asks for."""

    exposure: Callable[[Any], Exposure]
    requests: Callable[[Any], int | None]
    path: str
    asked: Callable[[Any], ModelName]
    live: Callable[[Status], ModelName | str]


@dataclass(frozen=True)
class Question:
    """What a library is asked about one spec before anything runs. ``look`` is the function of our workloads
    (``module:function``) that asks it, given ``asked``; ``library`` what it imports for that, and ``about`` says in
    words what nobody looks at without. Besides these the answer rests on the specs ``upstream`` and on ``files`` of the
    project, which may have wildcards."""

    library: str
    about: str
    look: str
    asked: Mapping[str, Any]
    upstream: tuple[Ref, ...] = ()
    files: tuple[str, ...] = ()


SpecOf = Callable[[Ref], Mapping[str, Any] | None]
"""The spec of a resource as it is written, None where there is none."""


def _none(spec: Any) -> tuple[()]:
    return ()


def _nothing(spec: Any) -> Mapping[Any, Any]:
    return {}


def _no_needs(spec: Any) -> Needs:
    return Needs()


def _no_keys(spec: Any) -> frozenset[str]:
    return frozenset()


def _anything_goes(ref: Ref, state: Any) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """``references`` gives the upstreams; ``entrypoints`` (path -> module:attribute) the user code;
    ``unsupported`` names fields that this version does not execute yet, so that they are refused rather than ignored;
    ``check`` finds mistakes between resources, given every spec of the snapshot."""

    name: str
    spec: type[BaseModel]
    categories: Mapping[str, Category]
    plan: PlanFunction
    check: Callable[[Any, Mapping[Ref, BaseModel]], tuple[CrossProblem, ...]]
    workload_version: str
    """Part of every identity: bumped when our own workload would build something else from the same spec."""
    unsupported: Callable[[Any], tuple[str, ...]] = _none
    references: Callable[[Any], tuple[Reference, ...]] = _none
    entrypoints: Callable[[Any], Mapping[str, str]] = _nothing
    borrows: Callable[[Any], tuple[Borrowed, ...]] = _none
    """Words of a spec that an upstream explains."""
    meanings: Callable[[Any], Mapping[str, str]] = _nothing
    """Words that a spec explains to others, and what each means."""
    rebuild: Category = Category.METADATA
    """What it costs when an upstream or the user's code changed and none of its own fields did."""
    renews: str = ""
    """The field that asks for the same anew, on the data of its day: part of the identity, and not of the recipe. Empty
    for a kind that follows its data by itself."""
    unless_equal: str = ""
    """What a plan says where only upstreams changed, of a kind for which nothing is built over equal rows."""
    remarks: Callable[[Any], tuple[CrossProblem, ...]] = _none
    """What is allowed in a spec and hardly meant so: told as warnings."""
    places: Callable[[Any], tuple[Place, ...]] = _none
    """What it names of the machine that the controller runs on."""
    exposed: Callable[[Any], tuple[CrossProblem, ...]] = _none
    """Secrets that have no form by which they are found in every spec."""
    secret_from: Mapping[str, str] = field(default_factory=dict)
    """How a secret is given instead, in words, by the dotted path of a field that people write secrets into."""
    claims: Callable[[Any], tuple[Claim, ...]] = _none
    """Unlike in ``check``, all resources together cost no more than a look at each."""
    needs: Callable[[Any], Needs] = _no_needs
    sized_by: str = ""
    """Where its spec says how much it needs; empty for a kind that needs nothing."""
    serving: Serves | None = None
    """None for a kind that answers no requests."""
    runs: Runs | None = None
    """None for a kind whose work is no run."""
    versions: Versions | None = None
    """None for a kind that has none."""
    contract: Callable[[Any], Mapping[str, str]] = _nothing
    """What it promises to its downstreams: dtype by column."""
    keys: Callable[[Any], frozenset[str]] = _no_keys
    """Columns of the contract that every consumer uses, named or not: what rows are joined by."""
    consumes: Callable[[Any], Mapping[Ref, frozenset[str] | None]] = _nothing
    """Columns it uses by upstream; None: all of them."""
    state: type[Stored] = Stored
    """What a record remembers of one, beside what every kind has."""
    uses: Callable[[Any], frozenset[Ref]] | None = None
    """What one with this ``state`` makes use of, also where git no longer names it; None for a kind that uses no more
    than its upstreams."""
    behind: Behind | None = None
    """Which upstreams hold something else than what is in service was made from; None for a kind that follows its
    upstreams."""
    ensure: Callable[[Ref, Any], None] = _anything_goes
    """Raises ValueError where a ``state`` that can be read cannot be that of the resource."""
    data: Callable[[Any], tuple[SourcePath, ...]] = _none
    """Files of the project that it reads."""
    question: Callable[[Mapping[str, Any], SpecOf], Question | None] | None = None
    """What only a library can say about a spec, as it is written: None where that is nothing, or for a kind of which
    that is never anything."""
    merge_keys: Mapping[str, str] = field(default_factory=dict)
    """Lists that patches merge item by item: the field that names an item, by the list's dotted path in the spec."""

    def exposure(self, spec: Any) -> Exposure | None:
        """How callers meet what this spec asks for; None where it answers no requests."""
        return None if self.serving is None else self.serving.exposure(spec)
