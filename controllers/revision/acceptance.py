"""May a commit take effect, and if not now, when? Pure: the source controller acts on the answers, plans tell them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controllers.revision.permits import Permit
from controllers.revision.snapshot import Snapshot
from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.kinds.environment.policies import refusals as policy_refusals
from framework.kinds.environment.spec import EnvironmentSpec
from framework.kinds.environment.windows import closed_until
from framework.planning.admission.pruning import RECONCILE, WOULD_REMOVE, too_much
from framework.planning.admission.rules import Rules
from framework.planning.grammar.changes import Change, Refusal
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.reasons import PIN_IN_FORCE, WAITS_FOR_WINDOW
from framework.planning.grammar.snapshot import same_meaning
from framework.planning.plan.breaking import unacknowledged
from framework.planning.reports.convergence import Withheld
from framework.ports import Pin, Revision, Signature

HISTORY_REWRITTEN = "HistoryRewritten"
SIGNATURE_REQUIRED = "SignatureRequired"
NOT_EXECUTED = "NotExecuted"
RESTART_REQUIRED = "RestartRequired"
"""Reasons of a Refusal, beside those of policies, breaking changes and removals."""
REWRITTEN = "history was rewritten"
ROLL_BACK = "mlopsctl rollback COMMIT --allow-prune"
"""How an operator lets a pinned commit remove what it likes."""
_SHORT = 7


@dataclass(frozen=True)
class Terms:
    """What the operator allows and demands, apart from git."""

    allow_prune: bool = False
    allow_force_push: bool = False
    signed: bool = False
    """A commit takes effect only if a signer whom the operator trusts has signed it."""


def distrust(
    environment: str, commit: str, base: str | None, descends: bool, signature: Signature | None, terms: Terms
) -> tuple[Refusal, ...]:
    """What speaks against a commit before a word of it is read. ``base`` is what must be among its ancestors, and
    ``descends`` whether it is; ``signature`` is None where none is demanded."""
    whole, found = Ref("Environment", environment), []
    if base is not None and not descends and not terms.allow_force_push:
        told = (
            f"{REWRITTEN}: commit {base[:_SHORT]}, which is in force, is not among its ancestors; "
            "if that is meant, say so: MLOPS_ALLOW_FORCE_PUSH=1 mlopsctl reconcile --once"
        )
        found.append(Refusal(whole, HISTORY_REWRITTEN, told))
    if signature is not None and not signature.trusted:
        told = f"a signature of an allowed signer is required, but the commit {signature.problem}"
        found.append(Refusal(whole, SIGNATURE_REQUIRED, told))
    return tuple(found)


def ancestor(revision: Revision | None, pin: Pin | None) -> str | None:
    """What must be among the ancestors of the newest commit, where ``revision`` is in force and ``pin`` is set: what
    git asked for last, and not what an operator went back to."""
    if pin is not None:
        return pin.over
    if revision is None:
        return None
    by = put_by(revision, pin)
    return revision.commit if by is None else by.over


def put_by(revision: Revision, pin: Pin | None) -> Pin | None:
    """The pin that put ``revision`` in force; None where git did."""
    return revision.pin or (pin if pin is not None and pin.commit == revision.commit else None)


def refusals(
    environment: str,
    before: Snapshot | None,
    after: Snapshot,
    compared: Sequence[Change],
    recorded: Collection[Ref],
    kinds: Mapping[str, Kind],
    wired: EnvironmentSpec | None,
    terms: Terms,
) -> tuple[Refusal, ...]:
    """Why ``after``, which is valid in itself, may not follow ``before``. ``compared`` is what differs between them,
    ``wired`` the Environment that the running controller was started with, None where none runs."""
    if before is not None and before.digest == after.digest:
        return ()
    whole, found = Ref("Environment", environment), []
    unknown = kinds["Environment"].unsupported(after.environment)
    elsewhere = moved(wired, after.environment) if wired is not None else ()
    if unknown:
        found.append(Refusal(whole, NOT_EXECUTED, f"not executed by this version: {', '.join(unknown)}"))
    elif elsewhere:
        told = (
            f"{', '.join(elsewhere)} changed: that takes effect as a whole once the controller is started again: "
            "mlopsctl down, then mlopsctl up"
        )
        found.append(Refusal(whole, RESTART_REQUIRED, told))
    return (
        *unacknowledged(before.desired if before else {}, after.desired, kinds),
        *policy_refusals(after.environment, compared, kinds),
        *found,
        *prune_refusal(before, after, recorded, terms),
    )


def prune_refusal(
    before: Snapshot | None, after: Snapshot, recorded: Collection[Ref], terms: Terms, remedy: str = RECONCILE
) -> tuple[Refusal, ...]:
    """A refusal where ``after`` would remove too large a share of what is there. What goes already does not count.
    ``remedy`` is the command with which an operator lets it."""
    if terms.allow_prune or not after.environment.deletion.prune:
        return ()
    going = before is not None and before.environment.deletion.prune
    there = [ref for ref in recorded if not going or before is None or ref in before.desired]
    found = too_much(there, after.desired, after.environment.deletion.maxShare, remedy)
    return () if found is None else (found,)


def problems(found: Iterable[Refusal], commit: str, after: Snapshot | None = None) -> tuple[Problem, ...]:
    """Refusals of ``commit`` as mistakes are told: with the file of the resource, where there is one in ``after``."""
    files = {} if after is None else {ref: asked.file for ref, asked in after.desired.items()}
    place = f"commit {commit[:_SHORT]}"
    return tuple(
        Problem(files.get(one.ref) or place, 0, 0, str(one.ref), f"{one.reason}: {one.message}") for one in found
    )


def moved(wired: EnvironmentSpec, asked: EnvironmentSpec) -> tuple[str, ...]:
    """Fields that a running controller cannot follow: it is connected to what they said at its start."""
    fields = ("ray", "storage", "state", "tracking", "onlineStore")
    return tuple(f"spec.{name}" for name in fields if getattr(wired, name) != getattr(asked, name))


def window_end(before: Snapshot | None, after: Snapshot, now: datetime) -> datetime | None:
    """Until when ``after`` has to wait, None where it need not. The windows are those in force: a commit does not lift
    the window that it would have to wait for."""
    return closed_until(before.environment if before else after.environment, now)


def rules(in_force: Snapshot, governing: EnvironmentSpec, held: Snapshot | None) -> Rules:
    """What may be done now. ``held`` is a commit that waits for a window: its wish to suspend counts already, because
    who asks for rest must get it, and its wish to go on does not."""
    quotas = governing.quotas
    return Rules(
        suspend=governing.suspend or (held is not None and held.environment.suspend),
        cpus=quotas.cpus,
        gpus=quotas.gpus,
        runs=quotas.runs,
        prune=governing.deletion.prune,
        keep_data=governing.deletion.data == "keep",
        order=in_force.order,
        claimed=in_force.claimed,
    )


def changed(before: Snapshot, after: Snapshot) -> tuple[Ref, ...]:
    """What has to be looked at when ``after`` takes the place of ``before``: what it asks for differently, and what it
    no longer asks for."""
    new = [ref for ref, asked in after.desired.items() if not same_meaning(before.desired.get(ref), asked)]
    return (*new, *(ref for ref in before.desired if ref not in after.desired))


def withheld(
    newest: Snapshot, in_force: Snapshot | None, pin: Pin | None, now: datetime, over: Snapshot | None = None
) -> Withheld | None:
    """Why the newest commit is not what is in force, where nothing is wrong with it; None where it is, where it was
    refused, or where nobody has looked at it yet. ``over`` is what ``pin`` was set over, where that can be read."""
    if in_force is not None and newest.digest == in_force.digest:
        return None
    if pin is not None and stands(pin, newest, over):
        followed = in_force is not None and in_force.commit == pin.commit
        message = pin_message(pin) if followed else unfollowed_message(pin)
        return Withheld(newest.commit, newest.subject, PIN_IN_FORCE, message)
    until = window_end(in_force, newest, now)
    return None if until is None else Withheld(newest.commit, newest.subject, WAITS_FOR_WINDOW, window_message(until))


def stands(pin: Pin, newest: Snapshot, over: Snapshot | None) -> bool:
    """Whether git still asks for what it asked for when ``pin`` was set: a newer wish of git's ends it."""
    return newest.commit == pin.over or (over is not None and newest.digest == over.digest)


def pin_message(pin: Pin) -> str:
    return f"{_pinned(pin)}; it stays in force until git asks for something else"


def unfollowed_message(pin: Pin) -> str:
    """Of a pin that no controller has looked at yet, or that may not be followed."""
    return f"{_pinned(pin)}; it is not in force yet, and nothing else takes effect until git asks for something else"


def _pinned(pin: Pin) -> str:
    why = f" ({pin.message})" if pin.message else ""
    return f"{pin.actor} pinned commit {pin.commit[:_SHORT]} over {pin.over[:_SHORT]} at {_clock(pin.time)}{why}"


def window_message(until: datetime) -> str:
    return f"no new commit takes effect until {_clock(until)}"


def lifted_by(problems: Sequence[str]) -> frozenset[Permit]:
    """Which of an operator's words would lift something of a refusal, given as a revision keeps it."""
    signs = {Permit.PRUNE: WOULD_REMOVE, Permit.REWRITE: REWRITTEN}
    return frozenset(permit for permit, sign in signs.items() if any(sign in problem for problem in problems))


def told(problems: Sequence[Problem]) -> tuple[str, ...]:
    """As a revision keeps them: a place in a file where there is one."""
    return tuple(str(problem) if problem.line else _unplaced(problem) for problem in problems)


def first_of(problems: Sequence[Problem]) -> str:
    """Of one problem all of it, of several the number and the first."""
    words = told(problems)
    return words[0] if len(words) == 1 else f"{len(words)} problems; the first: {words[0]}"


def _unplaced(problem: Problem) -> str:
    return ": ".join(part for part in (problem.file, problem.path, problem.message) if part)


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
