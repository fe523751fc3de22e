"""What changes between two snapshots, what each change costs, and what it comes from. Pure; looks at nothing live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Desired, FieldDiff, Verb
from framework.planning.grammar.diff import diff, highest
from framework.planning.grammar.fingerprint import spec_json
from framework.planning.grammar.kind import Kind
from framework.planning.plan.breaking import Break, breaking
from framework.planning.plan.files import described, difference
from framework.ports import CodeRef, Json, SourceData, file_list

_METADATA = {"": Category.METADATA}


def compare(
    before: Mapping[Ref, Desired[Any]], after: Mapping[Ref, Desired[Any]], kinds: Mapping[str, Kind]
) -> tuple[Change, ...]:
    """One change per resource of either snapshot: those of ``after`` in its order (upstreams first), then removals in
    the reverse order of ``before``.

    The changes have no actions and no status: nobody looked at what runs. The category of a resource is the dearest of
    its own fields; where its identity moved and they do not explain it, its kind's ``rebuild``. So cost travels down
    the chain: new features retrain what learns from them and redeploy what serves that. Specs are read only where
    digests differ.
    """
    broken = {item.ref: item for item in breaking(before, after, kinds)}
    changes = [_change(before.get(ref), new, after, kinds[ref.kind], broken.get(ref)) for ref, new in after.items()]
    removed = [
        Change(ref, Verb.DELETE, Category.METADATA, "removed from git", None)
        for ref in reversed(tuple(before))
        if ref not in after
    ]
    return (*changes, *removed)


def environment_change(
    name: str, before: BaseModel | None, after: BaseModel, categories: Mapping[str, Category]
) -> Change | None:
    """What changes about the Environment itself, None where nothing does. ``before`` is None where none was in force.

    It is no resource that anything is created for, so it stands beside the changes of ``compare``.
    """
    if before is None or before == after:
        return None
    diffs = diff(spec_json(before), spec_json(after), categories)
    return Change(Ref("Environment", name), Verb.UPDATE, highest(diffs), "changed in git", None, diffs=diffs)


def _change(
    old: Desired[Any] | None, new: Desired[Any], after: Mapping[Ref, Desired[Any]], kind: Kind, broken: Break | None
) -> Change:
    if old is None:
        diffs = diff(None, spec_json(new.spec), kind.categories)
        return Change(new.ref, Verb.CREATE, max(highest(diffs), kind.rebuild), "new", None, diffs=diffs)
    if old.digest == new.digest:
        return Change(new.ref, Verb.NOOP, Category.NOOP, "", None)
    diffs, rebuilt = _diffs(old, new, kind), old.identity != new.identity
    causes = _causes(old, new, after)
    category = max(highest(diffs), Category.METADATA)
    if rebuilt and not any(item.category.rebuilds for item in diffs):
        category = max(category, kind.rebuild)
    proviso = kind.unless_equal if rebuilt and old.recipe == new.recipe else ""
    reason = "; ".join(filter(None, (_reason(diffs, causes), proviso)))
    if broken is not None:
        category, reason = Category.BREAKING, broken.sentence
    return Change(new.ref, Verb.UPDATE, category, reason, None, diffs=diffs, causes=causes, proviso=proviso)


def _diffs(old: Desired[Any], new: Desired[Any], kind: Kind) -> tuple[FieldDiff, ...]:
    """Fields of the spec, then of the metadata, then the code that the spec names."""
    fields = diff(_explained(old), _explained(new), kind.categories)
    if old.identity == new.identity:
        # Of the spec only what identity leaves out differs, e.g. the description of a column.
        fields = tuple(replace(item, category=Category.METADATA) if item.category.rebuilds else item for item in fields)
    named = diff({"metadata": _metadata(old)}, {"metadata": _metadata(new)}, _METADATA)
    return (*fields, *named, *_code(old.code, new.code, kind), *_data(old.data, new.data, kind))


def _explained(desired: Desired[Any]) -> dict[str, Any]:
    """The spec, with what its words mean that others explain: ``stable (3f2a91c0de)``."""
    spec = spec_json(desired.spec)
    for path, meaning in desired.meanings.items():
        *above, last = path.split(".")
        part = spec
        for key in above:
            part = part[key]
        part[last] = f"{part[last]} ({meaning})"
    return spec


def _metadata(desired: Desired[Any]) -> dict[str, Any]:
    return desired.metadata.model_dump(mode="json", exclude_defaults=True)


def _code(old: CodeRef | None, new: CodeRef | None, kind: Kind) -> tuple[FieldDiff, ...]:
    before, after = _code_name(old), _code_name(new)
    return () if before == after else (FieldDiff("code", before, after, max(kind.rebuild, Category.METADATA)),)


def _data(old: SourceData, new: SourceData, kind: Kind) -> Iterator[FieldDiff]:
    """Of each source of which the two commits say different things, what they say that it holds."""
    for source in sorted({*old.files, *new.files}):
        before, after = old.files.get(source, ()), new.files.get(source, ())
        if [file.digest for file in before] != [file.digest for file in after]:
            told = difference({source: file_list(before, len(before))}, {source: after})
            now = f"{described(after)} ({told})" if told else described(after)
            yield FieldDiff(
                f"data.{source}", described(before) if before else None, now if after else None,
                max(kind.rebuild, Category.METADATA),
            )  # fmt: skip


def _code_name(code: CodeRef | None) -> Json:
    """The folder and what it holds; the commit does not count."""
    return None if code is None else f"{code.folder} {code.digest[:10]}"


def _causes(old: Desired[Any], new: Desired[Any], after: Mapping[Ref, Desired[Any]]) -> tuple[Ref, ...]:
    """Upstreams of before that moved or went. One that is new to this resource is a change of its own fields."""
    return tuple(
        ref
        for ref, identity in sorted(old.upstream.items())
        if (ref in new.upstream and new.upstream[ref] != identity) or ref not in after
    )


def _reason(diffs: tuple[FieldDiff, ...], causes: tuple[Ref, ...]) -> str:
    if not causes:
        return "changed in git"
    because = f"because {', '.join(map(str, causes))} {'change' if len(causes) > 1 else 'changes'}"
    return f"changed in git, and {because}" if diffs else because
