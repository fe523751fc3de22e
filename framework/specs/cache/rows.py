"""A file that was read, as one line of JSON and back: what processes hand to each other and what is kept on disk.

Fresh files take this way too, so that what was kept cannot read differently from what was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.api.places import Place, Use
from framework.planning.grammar.fingerprint import Texts
from framework.planning.grammar.kind import Borrowed, Claim, Kind, Reference
from framework.ports import SourcePath
from framework.specs.cache.lazy import Body, LazyDraft
from framework.specs.language.resource import Draft, Facts, Resource

FORM = 5
"""Of everything written here; another one is not read."""


@dataclass(frozen=True)
class LoadedFile:
    """Drafts and problems of one file. ``declared`` names every object it seems to hold, broken ones included, so that
    a reference to a broken object is not reported as a second mistake."""

    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    declared: frozenset[Ref]


Understand = Callable[[Draft, Mapping[str, Kind]], Resource | tuple[Problem, ...]]


def encode(file: LoadedFile, kinds: Mapping[str, Kind], understand: Understand) -> bytes:
    """``understand`` tells what each draft is by itself, before an Environment patches it."""
    drafts = [_draft(draft, understand(draft, kinds)) for draft in file.drafts]
    declared = [ref for ref in sorted(file.declared) if all(ref != draft.ref for draft in file.drafts)]
    return dumps([drafts, [problem_row(problem) for problem in file.problems], declared]).encode("ascii")


def _draft(draft: Draft, outcome: Resource | tuple[Problem, ...]) -> list[Any]:
    head = {key: None if key == "spec" else value for key, value in draft.raw.items()}
    row = [*draft.ref, draft.index, head, json.dumps(draft.raw["spec"])]
    if isinstance(outcome, Resource):
        return [*row, [], facts_row(outcome.facts), outcome.texts]
    return [*row, [problem_row(problem) for problem in outcome], None, None]


def decode(row: bytes, file: str, sha: str, text: Callable[[], str], kinds: Mapping[str, Kind]) -> LoadedFile:
    """The other way. ``text`` reads the file's text again, for places."""
    objects, problems, declared = json.loads(row)

    def draft(kind: str, name: str, index: int, *rest: Any) -> LazyDraft:
        body = _body(*rest)
        return LazyDraft(Ref(kind, name), file, sha, index, text, lambda: body, kinds[kind].spec, body.facts)

    drafts = tuple(draft(*row) for row in objects)
    names = frozenset([*(draft.ref for draft in drafts), *(Ref(*ref) for ref in declared)])
    return LoadedFile(drafts, tuple(problem_of(item) for item in problems), names)


def _body(head: Mapping[str, Any], spec: str, problems: Sequence[Any], facts: Any, texts: Any) -> Body:
    found = tuple(problem_of(item) for item in problems)
    if facts is None:
        return Body(head, spec, found)
    return Body(head, spec, found, facts_of_row(facts), Texts(*texts))


def facts_row(facts: Facts) -> list[Any]:
    return [
        [[*item.ref, item.path, *([1] if item.informs else [])] for item in facts.references],
        facts.entrypoints,
        [[item.path, item.value, item.taken, item.within] for item in facts.claims],
        [problem_row(problem) for problem in facts.warnings],
        [problem_row(problem) for problem in facts.secrets],
        facts.places,
        [[item.path, item.word, *item.ref] for item in facts.borrows],
        facts.data,
    ]


def facts_of_row(row: Sequence[Any]) -> Facts:
    references, entrypoints, claims, warnings, secrets, places, borrows, data = row
    return Facts(
        tuple(Reference(Ref(kind, name), path, bool(informs)) for kind, name, path, *informs in references),
        tuple((path, entrypoint) for path, entrypoint in entrypoints),
        tuple(Claim(path, value, taken, tuple(within)) for path, value, taken, within in claims),
        tuple(problem_of(item) for item in warnings),
        tuple(problem_of(item) for item in secrets),
        tuple(Place(path, address, Use(use)) for path, address, use in places),
        tuple(Borrowed(path, word, Ref(kind, name)) for path, word, kind, name in borrows),
        tuple(SourcePath(*item) for item in data),
    )


def problem_row(problem: Problem) -> list[Any]:
    return [
        problem.file, problem.line, problem.column, problem.path, problem.message, problem.allowed,
        problem.suggestion, problem.severity, *([1] if problem.secret else []),
    ]  # fmt: skip


def problem_of(row: Sequence[Any]) -> Problem:
    file, line, column, path, message, allowed, suggestion, severity, *secret = row
    return Problem(file, line, column, path, message, tuple(allowed), suggestion, severity, bool(secret))


def dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
