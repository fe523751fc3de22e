"""Columns that were promised, are used, and go: the change that breaks what stands downstream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired, Refusal
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.kind import Kind

ACKNOWLEDGE = "mlops/acknowledge-breaking"
"""The annotation that takes responsibility for one breaking change: its value is the token of the change."""
REASON = "BreakingNotAcknowledged"

Retyped = tuple[str, str | None]
"""The dtype before, and the one after: None for a column that is removed."""


@dataclass(frozen=True)
class Break:
    """Columns of ``ref`` that resources used before the change and that are removed or retyped by it.

    ``token`` names exactly this change, so that an acknowledgement covers no other.
    """

    ref: Ref
    columns: Mapping[str, Retyped]
    consumers: tuple[Ref, ...]
    token: str

    @property
    def sentence(self) -> str:
        """``removes column delay (Float64), which TrainingJob/a uses``."""
        removed = [f"{name} ({old})" for name, (old, new) in self.columns.items() if new is None]
        retyped = [f"{name} from {old} to {new}" for name, (old, new) in self.columns.items() if new is not None]
        parts = [
            f"{verb} {'columns' if len(names) > 1 else 'column'} {', '.join(names)}"
            for verb, names in (("removes", removed), ("retypes", retyped))
            if names
        ]
        use = "uses" if len(self.consumers) == 1 else "use"
        return f"{' and '.join(parts)}, which {_some(self.consumers)} {use}"


def breaking(
    before: Mapping[Ref, Desired[Any]], after: Mapping[Ref, Desired[Any]], kinds: Mapping[str, Kind]
) -> tuple[Break, ...]:
    """Every break between two snapshots, acknowledged or not, in the order of ``after``.

    A column counts as used where a resource of ``before`` consumes it: that the same commit mends the consumer does not
    bring back what runs now, or what others have built on it. A resource that is removed whole breaks nothing here:
    nothing of ``after`` can refer to it. Costs nothing but a comparison of digests for what did not change.
    """
    gone = {
        ref: columns
        for ref, new in after.items()
        if (old := before.get(ref)) is not None and old.digest != new.digest and (columns := _gone(old, new, kinds))
    }
    if not gone:
        return ()
    used = _used(before, frozenset(gone), kinds)
    found = []
    for ref, columns in gone.items():
        keys = kinds[ref.kind].keys(before[ref].spec)
        consumers = {
            consumer: columns.keys() if names is None else columns.keys() & (names | keys)
            for consumer, names in used.get(ref, {}).items()
        }
        hit = {name: columns[name] for name in sorted(set().union(*consumers.values()))}
        if hit:
            token = short_hash({"ref": str(ref), "columns": {name: list(pair) for name, pair in hit.items()}})
            found.append(Break(ref, hit, tuple(sorted(one for one, names in consumers.items() if names)), token))
    return tuple(found)


def acknowledged(item: Break, after: Mapping[Ref, Desired[Any]]) -> bool:
    """Whether the resource's annotation names this very change."""
    return after[item.ref].metadata.annotations.get(ACKNOWLEDGE) == item.token


def unacknowledged(
    before: Mapping[Ref, Desired[Any]], after: Mapping[Ref, Desired[Any]], kinds: Mapping[str, Kind]
) -> tuple[Refusal, ...]:
    """Why ``after`` may not follow ``before``, with what to write where if it is meant."""
    return tuple(
        _refusal(item, after[item.ref]) for item in breaking(before, after, kinds) if not acknowledged(item, after)
    )


def _refusal(item: Break, desired: Desired[Any]) -> Refusal:
    where = f" in {desired.file}" if desired.file else ""
    stands = desired.metadata.annotations.get(ACKNOWLEDGE)
    stale = f" ({stands!r}, which stands there, is for another change)" if stands else ""
    remedy = f'If that is meant, add the annotation {ACKNOWLEDGE}: "{item.token}" to its metadata{where}{stale}.'
    return Refusal(item.ref, REASON, f"{item.sentence}. {remedy}")


def _gone(old: Desired[Any], new: Desired[Any], kinds: Mapping[str, Kind]) -> dict[str, Retyped]:
    contract = kinds[old.ref.kind].contract
    promised, kept = contract(old.spec), contract(new.spec)
    return {name: (dtype, kept.get(name)) for name, dtype in promised.items() if kept.get(name) != dtype}


def _used(
    before: Mapping[Ref, Desired[Any]], changed: frozenset[Ref], kinds: Mapping[str, Kind]
) -> dict[Ref, dict[Ref, frozenset[str] | None]]:
    """Columns by changed resource and consumer."""
    found: dict[Ref, dict[Ref, frozenset[str] | None]] = {}
    for ref, desired in before.items():
        if changed.isdisjoint(desired.upstream):
            continue
        for upstream, columns in kinds[ref.kind].consumes(desired.spec).items():
            if upstream in changed:
                found.setdefault(upstream, {})[ref] = columns
    return found


def _some(refs: tuple[Ref, ...], most: int = 5) -> str:
    shown = ", ".join(map(str, refs[:most]))
    return shown if len(refs) <= most else f"{shown} and {len(refs) - most} more"
