"""What a plan would come to, from its changes and from what is known of the past and of the cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.actions import SubmitRun
from framework.planning.grammar.changes import Change, Desired, Verb
from framework.planning.grammar.forecast import Forecast, Work
from framework.planning.grammar.kind import Kind, Needs
from framework.planning.plan.durations import Durations
from framework.planning.plan.endpoints import endpoints
from framework.ports import Capacity

ROLL_OUT = "roll out"
FIRST_ANSWER = 15.0
"""Seconds until a version that nothing serves before answers: 5 to 30 were measured for the start of a replica."""


@dataclass(frozen=True)
class Known:
    """What there is besides the specs: past durations (None: nobody looked), the cluster (None: it does not run or
    tell), and requests that were counted by endpoint."""

    durations: Durations | None = None
    capacity: Capacity | None = None
    requests: Mapping[Ref, int] = field(default_factory=dict)
    same_cluster: bool = True
    """Whether what is to come runs where that which is in force runs."""


def forecast(
    changes: Sequence[Change],
    before: Mapping[Ref, Desired[Any]],
    after: Mapping[Ref, Desired[Any]],
    kinds: Mapping[str, Kind],
    known: Known,
) -> Forecast:
    """``changes`` and ``after`` in dependency order, ``before`` what is in force.

    Work of one stage is taken to run side by side, limited by nothing; a rollout holds both versions while it lasts.
    """
    work = _work(changes, before, after, kinds, known)
    extra = _peak(work, changes, before, after, kinds)
    return Forecast(
        endpoints=endpoints(changes, before, after, kinds, known.requests, same_cluster=known.same_cluster),
        work=work,
        seconds=_longest_chain(work, after),
        gpu_hours=_gpu_hours(work),
        extra_gpus=extra.gpus,
        extra_cpus=extra.cpus,
        capacity=known.capacity,
        lacking=_lacking(extra.cpus, extra.gpus, known.capacity, " at the peak"),
    )


def _work(
    changes: Sequence[Change],
    before: Mapping[Ref, Desired[Any]],
    after: Mapping[Ref, Desired[Any]],
    kinds: Mapping[str, Kind],
    known: Known,
) -> tuple[Work, ...]:
    """A resource's work is one stage after the last work above it, however far up."""
    found: list[Work] = []
    stages: dict[Ref, int] = {}
    for change in changes:
        desired = after.get(change.ref)
        if desired is None:
            continue
        above = max((stages.get(ref, 0) for ref in desired.upstream), default=0)
        what = _what(change, desired, kinds[change.ref.kind])
        stages[change.ref] = above + 1 if what else above
        if what:
            kind = kinds[change.ref.kind]
            needs = kind.needs(desired.spec)
            if what == ROLL_OUT:
                seconds, basis = _rollout(change.ref, before, desired, kind)
            else:
                unknown = (None, "no history was looked at")
                seconds, basis = known.durations.of(change.ref) if known.durations else unknown
            lacking = "; ".join(_lacking(*(needs.least or (needs.cpus, needs.gpus)), known.capacity))
            found.append(Work(change.ref, what, above + 1, seconds, basis, needs.cpus, needs.gpus, lacking))
    return tuple(found)


def _what(change: Change, desired: Desired[Any], kind: Kind) -> str | None:
    """What will run for this resource, None where nothing will."""
    if change.verb in (Verb.NOOP, Verb.DELETE):
        return None
    run = kind.runs.verb if kind.runs else None
    if any(isinstance(action, SubmitRun) for action in change.actions):
        return run
    # With a status somebody looked: a change that neither acts nor waits finds what it needs, or was given up.
    moving = change.status is None or change.status.conditions.reconciling.status or bool(change.actions)
    if not moving or change.category < kind.rebuild:
        return None
    return ROLL_OUT if kind.exposure(desired.spec) is not None else run


def _rollout(
    ref: Ref, before: Mapping[Ref, Desired[Any]], desired: Desired[Any], kind: Kind
) -> tuple[float | None, str]:
    exposure = kind.exposure(desired.spec)
    if exposure is None or ref not in before:
        return FIRST_ANSWER, "nothing serves yet; a replica starts within 5 to 30 s"
    if exposure.seconds is None:
        return None, "waits for a person"
    return exposure.seconds, "analysis and pauses of its strategy"


def _longest_chain(work: Sequence[Work], after: Mapping[Ref, Desired[Any]]) -> float | None:
    """Seconds until the last of it is done, None where the duration of any of it is unknown."""
    own = {item.ref: item.seconds for item in work}
    if not own:
        return 0.0
    if any(seconds is None for seconds in own.values()):
        return None
    done: dict[Ref, float] = {}
    for ref, desired in after.items():
        done[ref] = max((done.get(up, 0.0) for up in desired.upstream), default=0.0) + (own.get(ref) or 0.0)
    return max(done.values())


def _gpu_hours(work: Sequence[Work]) -> float | None:
    taken = [(item.gpus, item.seconds) for item in work if item.gpus]
    if any(seconds is None for _, seconds in taken):
        return None
    return sum(gpus * (seconds or 0.0) for gpus, seconds in taken) / 3600.0


def _peak(
    work: Sequence[Work],
    changes: Sequence[Change],
    before: Mapping[Ref, Desired[Any]],
    after: Mapping[Ref, Desired[Any]],
    kinds: Mapping[str, Kind],
) -> Needs:
    """The most that is taken at a time on top of what is in use now. What stands from a stage on stands in the later
    ones, too; what is freed by removals comes last and is not counted."""
    stage_of = {item.ref: item.stage for item in work}
    last = max(stage_of.values(), default=0) + 1
    during = {stage: [0.0, 0.0] for stage in range(1, last + 1)}
    for item in work:
        during[item.stage][0] += item.cpus
        during[item.stage][1] += item.gpus
    for change in changes:
        desired = after.get(change.ref)
        if desired is None or change.verb is Verb.NOOP:
            continue
        kind = kinds[change.ref.kind]
        needs = kind.needs(desired.spec)
        if needs.standing:
            old = kind.needs(before[change.ref].spec) if change.ref in before else Needs()
            for stage in range(stage_of.get(change.ref, 0) + 1, last + 1):
                during[stage][0] += needs.cpus - old.cpus
                during[stage][1] += needs.gpus - old.gpus
    return Needs(max(0.0, *(cpus for cpus, _ in during.values())), max(0.0, *(gpus for _, gpus in during.values())))


def _lacking(cpus: float, gpus: float, capacity: Capacity | None, when: str = "") -> tuple[str, ...]:
    if capacity is None:
        return ()
    found = []
    for name, wanted in (("GPU", gpus), ("CPU", cpus)):
        total, free = capacity.total.get(name, 0.0), capacity.free.get(name, 0.0)
        asked = f"{wanted:g} {name}{'' if wanted == 1 else 's'}{when}"
        if wanted > total:
            found.append(f"{asked}, and the cluster has {total:g}")
        elif wanted > free:
            found.append(f"{asked}, of which {free:g} of {total:g} are free now")
    return tuple(found)
