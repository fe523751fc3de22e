"""What an Environment's policies say about specs (before a commit is accepted) and about changes (in its plan)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.environment.neighbours import NEIGHBOURS
from framework.kinds.environment.selection import Miss, find, miss, parse
from framework.kinds.environment.spec import EnvironmentSpec, Limit, Policy
from framework.planning.changes import Change, Refusal, Verb
from framework.planning.kind import CrossProblem
from framework.specs import paths, words

ALL = "*"
DENIED = "DeniedByPolicy"
"""Reason of a Refusal."""


def problems(name: str, spec: EnvironmentSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    """Policies that cannot be meant so, and every resource that breaks one, at the field that does. ``name`` is the
    Environment's."""
    for index, policy in enumerate(spec.policies):
        wrong = tuple(_mistakes(policy, f"spec.policies[{index}]"))
        yield from wrong
        if wrong:
            continue
        for ref in sorted(specs):
            if ref.kind in NEIGHBOURS and policy.kind in {ALL, ref.kind}:
                yield from _broken(f"Environment/{name}", policy, ref, specs[ref])


def refusals(spec: EnvironmentSpec, changes: Sequence[Change]) -> tuple[Refusal, ...]:
    """Changes that a policy denies, in the order of ``changes``. The Environment itself is held to none."""
    return tuple(
        Refusal(
            change.ref, DENIED, f"{policy.message} (a policy denies {word} of {change.ref.kind} in this environment)"
        )
        for change in changes
        for policy in spec.policies
        if change.ref.kind in NEIGHBOURS and policy.kind in {ALL, change.ref.kind}
        for word in policy.deny
        if word in _asks_for(change)
    )


def _asks_for(change: Change) -> frozenset[str]:
    """Every word of ``deny`` that a change answers to. Costs are those of what was there before: what is new is only
    created, or no environment could ever begin; what goes away costs nothing; a breaking change is a rebuild, too."""
    match change.verb:
        case Verb.NOOP | Verb.WAIT:
            return frozenset()
        case Verb.CREATE:
            return frozenset({Verb.CREATE.value})
        case Verb.DELETE:
            costs = {change.category} & {Category.BREAKING}
        case _ if change.category is Category.BREAKING:
            costs = {change.category, NEIGHBOURS[change.ref.kind].rebuild}
        case _:
            costs = {change.category}
    verb = Verb.UPDATE if change.verb is Verb.REPLACE else change.verb
    return frozenset({verb.value, *(cost.label for cost in costs)})


# -- the policy itself -----------------------------------------------------------------------------------------------


def _mistakes(policy: Policy, at: str) -> Iterator[CrossProblem]:
    if policy.kind != ALL and policy.kind not in NEIGHBOURS:
        yield _unknown_kind(policy.kind, f"{at}.kind")
        return
    asked = [(f"{at}.require[{index}]", path, False) for index, path in enumerate(policy.require)]
    asked += [(f"{at}.forbid[{index}]", path, False) for index, path in enumerate(policy.forbid)]
    asked += [(f"{at}.limits[{index}].path", limit.path, True) for index, limit in enumerate(policy.limits)]
    for place, path, number in asked:
        wrong = _miss(policy.kind, path, number)
        if wrong is not None:
            which = "any kind" if policy.kind == ALL else policy.kind
            message = f"{wrong.message} (looked into the spec of {which})"
            yield CrossProblem(place, message, wrong.allowed, wrong.suggestion)


def _unknown_kind(kind: str, at: str) -> CrossProblem:
    allowed = (*NEIGHBOURS, ALL)
    if kind == "Environment":
        return CrossProblem(at, "policies hold for other kinds, not for the Environment itself", allowed)
    return CrossProblem(at, f"unknown kind {words.shorten(kind)!r}", allowed, words.nearest(kind, NEIGHBOURS))


def _miss(kind: str, path: str, number: bool) -> Miss | None:
    """Of every kind a path has to exist in one; it then holds for those that have it."""
    found = [miss(NEIGHBOURS[name].spec, path, number=number) for name in ([kind] if kind != ALL else NEIGHBOURS)]
    told = [one for one in found if one is not None]
    if len(told) < len(found):
        return None
    best = next((one for one in told if one.suggestion is not None), told[0])
    return best if kind != ALL else best._replace(allowed=())


# -- the specs it holds for ------------------------------------------------------------------------------------------


def _broken(environment: str, policy: Policy, ref: Ref, spec: BaseModel) -> Iterator[CrossProblem]:
    def breach(path: tuple[str | int, ...], why: str) -> CrossProblem:
        at = paths.render(("spec", *path))
        return CrossProblem(at, f"{policy.message} ({environment} {why})", ref=ref)

    model = NEIGHBOURS[ref.kind].spec
    for text in policy.require:
        if miss(model, text) is None:
            yield from (breach(found.path, f"requires {text}") for found in find(spec, parse(text)) if not found.is_set)
    for text in policy.forbid:
        yield from (breach(found.path, f"forbids {text}") for found in find(spec, parse(text)) if found.is_set)
    for limit in policy.limits:
        for found in find(spec, parse(limit.path)):
            why = _beyond(limit, found.value)
            if why is not None:
                default = "" if found.written else ", the default"
                yield breach(found.path, f"{why} for {limit.path}, found {_text(found.value)}{default}")


def _beyond(limit: Limit, value: object) -> str | None:
    """Which bound ``value`` breaks; a field that is nowhere to be found breaks none."""
    if value is None:
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if limit.min is not None and (number is None or not number >= limit.min):
        return f"allows no less than {_text(limit.min)}"
    if limit.max is not None and (number is None or not number <= limit.max):
        return f"allows at most {_text(limit.max)}"
    return None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
