"""What an Environment's policies say about specs (before a commit is accepted) and about changes (in its plan)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.api.nearest import nearest
from framework.kinds.environment.selection import Found, Miss, exists, find, miss, parse
from framework.kinds.environment.spec import EnvironmentSpec, Limit, Policy
from framework.planning.grammar.changes import Change, Refusal, Verb
from framework.planning.grammar.kind import CrossProblem, Kind
from framework.specs.language import words
from framework.specs.yaml import paths

ALL = "*"
DENIED = "DeniedByPolicy"
"""Reason of a Refusal."""
_MOST_TOLD = 1_000
"""Breaches by one Environment's policies; the others are counted."""


Kinds = Mapping[str, Kind]
"""Those that an Environment holds to its policies: all but itself."""


def problems(name: str, spec: EnvironmentSpec, specs: Mapping[Ref, BaseModel], kinds: Kinds) -> Iterator[CrossProblem]:
    """Policies that cannot be meant so, and every resource that breaks one, at the field that does. ``name`` is the
    Environment's."""
    held = _Held(specs, kinds)
    left = _MOST_TOLD
    for index, policy in enumerate(spec.policies):
        wrong = tuple(_mistakes(policy, f"spec.policies[{index}]", kinds))
        yield from wrong
        if wrong:
            continue
        for ref, path, why in held.breaches(policy):
            left -= 1
            if left >= 0:
                yield CrossProblem(path, f"{policy.message} (Environment/{name} {why})", ref=ref)
    if left < 0:
        yield CrossProblem("spec.policies", f"{-left:,} more breaches of policies; mend those that are told first")


def refusals(spec: EnvironmentSpec, changes: Sequence[Change], kinds: Kinds) -> tuple[Refusal, ...]:
    """Changes that a policy denies, in the order of ``changes``, up to a thousand. The Environment itself is held to
    none."""
    denied = {
        kind: [(policy.message, word) for policy in spec.policies if policy.kind in {ALL, kind} for word in policy.deny]
        for kind in kinds
        if kind != "Environment"
    }
    told = (one for change in changes if (held := denied.get(change.ref.kind)) for one in _denied(change, held, kinds))
    return tuple(islice(told, _MOST_TOLD))


def _denied(change: Change, denied: Sequence[tuple[str, str]], kinds: Kinds) -> Iterator[Refusal]:
    asked = _asks_for(change, kinds)
    for message, word in denied:
        if word in asked:
            told = f"{message} (a policy denies {word} of {change.ref.kind} in this environment)"
            yield Refusal(change.ref, DENIED, told)


def _asks_for(change: Change, kinds: Kinds) -> frozenset[str]:
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
            costs = {change.category, kinds[change.ref.kind].rebuild}
        case _:
            costs = {change.category}
    verb = Verb.UPDATE if change.verb is Verb.REPLACE else change.verb
    return frozenset({verb.value, *(cost.label for cost in costs)})


# -- the policy itself -----------------------------------------------------------------------------------------------


def _mistakes(policy: Policy, at: str, kinds: Kinds) -> Iterator[CrossProblem]:
    if policy.kind != ALL and policy.kind not in kinds:
        yield _unknown_kind(policy.kind, f"{at}.kind", kinds)
        return
    asked = [(f"{at}.require[{index}]", path, False) for index, path in enumerate(policy.require)]
    asked += [(f"{at}.forbid[{index}]", path, False) for index, path in enumerate(policy.forbid)]
    asked += [(f"{at}.limits[{index}].path", limit.path, True) for index, limit in enumerate(policy.limits)]
    for place, path, number in asked:
        wrong = _miss(policy.kind, path, number, kinds)
        if wrong is not None:
            which = "any kind" if policy.kind == ALL else policy.kind
            message = f"{wrong.message} (looked into the spec of {which})"
            yield CrossProblem(place, message, wrong.allowed, wrong.suggestion)


def _unknown_kind(kind: str, at: str, kinds: Kinds) -> CrossProblem:
    allowed = (*kinds, ALL)
    if kind == "Environment":
        return CrossProblem(at, "policies hold for other kinds, not for the Environment itself", allowed)
    return CrossProblem(at, f"unknown kind {words.shorten(kind)!r}", allowed, nearest(kind, kinds))


def _miss(kind: str, path: str, number: bool, kinds: Kinds) -> Miss | None:
    """Of every kind a path has to exist in one; it then holds for those that have it."""
    models, tokens = [kinds[name].spec for name in ([kind] if kind != ALL else kinds)], parse(path)
    # Guessing what was meant takes far longer than seeing that it is there.
    looked = [model for model in models if exists(model, tokens)] or models
    told = [one for model in looked if (one := miss(model, path, number=number)) is not None]
    if len(told) < len(looked):
        return None
    best = next((one for one in told if one.suggestion is not None), told[0])
    return best if kind != ALL else best._replace(allowed=())


# -- the specs it holds for ------------------------------------------------------------------------------------------

_Breach = tuple[Ref, str, str]
"""Who, at which path, and what of the Environment it breaks."""
_Specs = Mapping[str, tuple[type[BaseModel], Mapping[Ref, BaseModel]]]
"""By kind: their model, and all of them."""


class _Held:
    """The specs of one commit. What a rule finds in them is found once, however many policies have that rule."""

    def __init__(self, specs: Mapping[Ref, BaseModel], kinds: Kinds) -> None:
        self._kinds = sorted(kinds)
        of_kind = {
            name: (kind.spec, {ref: specs[ref] for ref in sorted(specs) if ref.kind == name})
            for name, kind in kinds.items()
        }
        # Not methods: what keeps answers for one refers to itself, and all of a commit stays with it.
        self._required, self._forbidden, self._limited = (
            cache(partial(_lacking, of_kind)),
            cache(partial(_holding, of_kind)),
            cache(partial(_outside, of_kind)),
        )

    def breaches(self, policy: Policy) -> Iterator[_Breach]:
        for kind in self._kinds if policy.kind == ALL else (policy.kind,):
            for text in policy.require:
                yield from self._required(kind, text)
            for text in policy.forbid:
                yield from self._forbidden(kind, text)
            for limit in policy.limits:
                yield from self._limited(kind, limit)


def _found(specs: _Specs, kind: str, text: str) -> Iterator[tuple[Ref, Found]]:
    """What stands at a path of each spec of a kind; nothing where the kind has no such path."""
    tokens, (model, own) = parse(text), specs[kind]
    if exists(model, tokens):
        yield from ((ref, found) for ref, spec in own.items() for found in find(spec, tokens))


def _lacking(specs: _Specs, kind: str, text: str) -> tuple[_Breach, ...]:
    return tuple((ref, _place(one), f"requires {text}") for ref, one in _found(specs, kind, text) if not one.is_set)


def _holding(specs: _Specs, kind: str, text: str) -> tuple[_Breach, ...]:
    return tuple((ref, _place(one), f"forbids {text}") for ref, one in _found(specs, kind, text) if one.is_set)


def _outside(specs: _Specs, kind: str, limit: Limit) -> tuple[_Breach, ...]:
    beyond = ((ref, one, _beyond(limit, one)) for ref, one in _found(specs, kind, limit.path))
    return tuple((ref, _place(one), why) for ref, one, why in beyond if why is not None)


def _place(found: Found) -> str:
    return paths.render(("spec", *found.path))


def _beyond(limit: Limit, found: Found) -> str | None:
    """Which bound a value breaks; a field that is nowhere to be found breaks none."""
    value = found.value
    if value is None:
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    told = f"for {limit.path}, found {_text(value)}{'' if found.written else ', the default'}"
    if limit.min is not None and (number is None or not number >= limit.min):
        return f"allows no less than {_text(limit.min)} {told}"
    if limit.max is not None and (number is None or not number <= limit.max):
        return f"allows at most {_text(limit.max)} {told}"
    return None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
