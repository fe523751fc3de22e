"""What only the libraries can say about specs, before anything runs: SQL that is none, columns that a file does not
have, estimators that scikit-learn does not know, values that LightGBM or XGBoost does not take. They are asked in a
process of their own, and not again about what stayed as it was."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from controllers.examination.memory import Answer, AnswerBasis, Memory
from controllers.examination.trees import Tree
from controllers.revision.snapshot import Snapshot
from framework import installed, workloads
from framework.api.errors import Problem
from framework.api.hashes import text_hash
from framework.api.meta import Ref
from framework.api.nearest import nearest
from framework.kinds import KINDS
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.kind import Kind, Question
from framework.planning.grammar.snapshot import same_meaning
from framework.specs.cache.lazy import resources_of
from framework.specs.language.resource import Resource, spec_path
from framework.workloads.examining import Mistake

__all__ = ["Examined", "Examiner", "Memory"]

log = logging.getLogger(__name__)

_SECONDS = 60
_MOST_ALLOWED = 20

Ask = Callable[[Sequence[Mapping[str, Any]]], Sequence[Answer | None] | None]
"""Answers to questions, one each; None where there is none to be had."""


@dataclass(frozen=True)
class Examined:
    """``problems`` are mistakes, those of severity error refuse a commit. ``unseen`` says what was not looked at."""

    problems: tuple[Problem, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


@dataclass(frozen=True)
class _Case:
    """A resource to ask about, and what else the answer will rest on: specs by key, files by mark."""

    resource: Resource
    question: Question
    seen: AnswerBasis

    @classmethod
    def of(cls, resource: Resource, question: Question, everything: Mapping[Ref, Resource], tree: Tree) -> _Case:
        above = {str(ref): everything[ref].key for ref in question.upstream}
        files = {path: tree.mark(path) for path in question.files}
        return cls(resource, question, AnswerBasis(_version(question.library), above, files))

    @property
    def name(self) -> str:
        """By which the answer is remembered: many share one that rests on no more than the question."""
        question = self.question
        if question.upstream or question.files:
            return _own_name(self.resource)
        return f"{question.look} {short_hash(question.asked)}"


class Examiner:
    """Looks at resources, at as little as possible anew: ``memory`` keeps answers."""

    def __init__(self, memory: Memory | None = None, ask: Ask | None = None, kinds: Mapping[str, Kind] = KINDS) -> None:
        self._kinds = kinds
        self._memory = Memory() if memory is None else memory
        self._ask = ask or ask_process

    def look(self, resources: Iterable[Resource], everything: Mapping[Ref, Resource], tree: Tree) -> Examined:
        """What is wrong with ``resources``, of all those that there are, and with the files of ``tree`` they read."""
        ours = {_own_name(one): one for one in resources if self._kinds[one.ref.kind].question is not None}
        known = self._known(ours, everything, tree)
        cases = self._cases([one for name, one in ours.items() if name not in known], everything, tree)
        shared = self._known([case.name for case in cases], everything, tree)
        unknown = [case for case in cases if case.name not in shared]
        about = {case.question.library: case.question.about for case in unknown}
        missing = sorted(library for library in about if not installed.is_there(library))
        asked = [case for case in unknown if case.question.library not in missing]
        answered = self._answers(asked, tree)
        for case, answer in answered:
            self._memory.keep(case.name, case.seen, answer)
        self._memory.save(len(everything))
        told = [
            *((ours[name], answer) for name, answer in known.items()),
            *((case.resource, shared[case.name]) for case in cases if case.name in shared),
            *((case.resource, answer) for case, answer in answered),
        ]
        problems = {one for resource, answer in told for one in _problems(resource, answer, tree)}
        silent = sorted({str(case.resource.ref) for case in asked} - {str(case.resource.ref) for case, _ in answered})
        unseen = [
            *(f"{about[library]}, because {installed.advice([library])}" for library in missing),
            *(f"{ref}: the libraries gave no answer" for ref in silent),
        ]
        return Examined(tuple(sorted(problems)), tuple(unseen))

    def _known(self, names: Iterable[str], everything: Mapping[Ref, Resource], tree: Tree) -> dict[str, Answer]:
        """What is remembered under ``names``, as far as all that it rests on is as it was."""
        found = {name: kept for name in names if (kept := self._memory.answer(name)) is not None}
        tree.look_ahead([path for seen, _ in found.values() for path in seen.files])
        return {name: answer for name, (seen, answer) in found.items() if _holds(seen, everything, tree)}

    def _cases(self, resources: Iterable[Resource], everything: Mapping[Ref, Resource], tree: Tree) -> Sequence[_Case]:
        """What of them is a library's to judge: for that each has to be read."""

        def spec_of(ref: Ref) -> Mapping[str, Any] | None:
            return everything[ref].raw["spec"] if ref in everything else None

        found = [
            (one, question)
            for one in resources
            if (asks := self._kinds[one.ref.kind].question) and (question := asks(one.raw["spec"], spec_of)) is not None
        ]
        tree.look_ahead([path for _, question in found for path in question.files])
        return [_Case.of(one, question, everything, tree) for one, question in found]

    def changed(self, before: Snapshot | None, after: Snapshot, tree: Tree) -> Examined:
        """The same of what ``after`` asks for otherwise than ``before``."""
        old, resources = before.desired if before else {}, resources_of(after.desired)
        fresh = [resource for ref, resource in resources.items() if not same_meaning(old.get(ref), after.desired[ref])]
        return self.look(fresh, resources, tree)

    def _answers(self, cases: Sequence[_Case], tree: Tree) -> list[tuple[_Case, Answer]]:
        """Of each case that there is an answer to."""
        if not cases:
            return []
        with tempfile.TemporaryDirectory() as folder:
            root = tree.root_for([path for case in cases for path in case.question.files], folder)
            shared = {"root": root, "whole": tree.whole}
            answers = self._ask([{"look": case.question.look, **case.question.asked, **shared} for case in cases])
        return [(case, answer) for case, answer in zip(cases, answers or (), strict=False) if answer is not None]


def _own_name(resource: Resource) -> str:
    return f"{resource.ref} {resource.key}"


def _holds(seen: AnswerBasis, everything: Mapping[Ref, Resource], tree: Tree) -> bool:
    """Whether all of it is as it was."""
    library, _, _ = seen.library.partition(" ")
    above = ((everything.get(Ref.parse(ref)), key) for ref, key in seen.upstream.items())
    return (
        seen.library == _version(library)
        and all(found is not None and found.key == key for found, key in above)
        and all(tree.mark(path) == mark for path, mark in seen.files.items())
    )


def _problems(resource: Resource, answer: Answer, tree: Tree) -> Iterator[Problem]:
    mistakes = [Mistake(**item) for item in answer]
    outside = tree.outside(file for mistake in mistakes for file in mistake.files)
    for mistake in mistakes:
        yield _problem(resource, mistake, tree, mistake.warning or bool(outside & {*mistake.files}))


def _problem(resource: Resource, mistake: Mistake, tree: Tree, mild: bool) -> Problem:
    severity: Literal["error", "warning"] = "warning" if mild else "error"
    allowed = tuple(mistake.allowed) if len(mistake.allowed) <= _MOST_ALLOWED else ()
    suggestion = nearest(mistake.wanted, mistake.allowed) if mistake.wanted else None
    problem = resource.problem(mistake.path, mistake.message, allowed=allowed, suggestion=suggestion, severity=severity)
    if not mistake.line:
        return problem
    text = _value(resource.raw, mistake.path)
    line, column = inside(tree.text(problem.file), problem.line, problem.column, text, mistake.line, mistake.column)
    return replace(problem, line=line, column=column)


def _value(raw: Any, path: str) -> str:
    for part in spec_path(path):
        raw = raw[part]
    return str(raw)


def inside(file: str, line: int, column: int, text: str, row: int, place: int) -> tuple[int, int]:
    """Where (row, place) of ``text`` stands in ``file``, in which it begins at (line, column); all count from 1.

    A block (``|``) keeps its lines, and so does a text on one line. Where YAML has folded them, it is where the text
    begins.
    """
    lines, wanted = file.splitlines(), [*text.split("\n"), ""][row - 1].rstrip()
    block = line + row - 1
    if block < len(lines) and wanted.strip() and lines[block].rstrip().endswith(wanted):
        return block + 1, len(lines[block].rstrip()) - len(wanted) + place
    for quote in (0, 1):
        start = column - 1 + quote
        if row == 1 and line <= len(lines) and lines[line - 1][start:].startswith(wanted):
            return line, start + place
    return line, column


def ask_process(questions: Sequence[Mapping[str, Any]]) -> Sequence[Answer | None] | None:
    """Ask the libraries in a process of their own. It finds no module in the folder that it runs in: what lies in a
    repository is looked at, never run. Where it dies, of something in a library that no language catches, each
    question has a process to itself, so that no other goes without an answer."""
    answers, died = _process(questions)
    if not died or len(questions) < 2:
        return answers
    return [alone[0] if (alone := _process([question])[0]) else None for question in questions]


def _process(questions: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Answer | None] | None, bool]:
    """The answers, and whether a signal ended the process before it had them."""
    command = [sys.executable, "-P", "-W", "ignore", "-m", "framework.workloads.examining"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command, input=json.dumps(questions), capture_output=True, text=True, timeout=_SECONDS, cwd=folder,
                check=True,
            )  # fmt: skip
            answers: list[Answer | None] = json.loads(done.stdout)
        except (subprocess.SubprocessError, ValueError, OSError) as error:
            log.debug("no answer: %s %s", error, getattr(error, "stderr", ""))
            return None, isinstance(error, subprocess.CalledProcessError) and error.returncode < 0
    return (answers if len(answers) == len(questions) else None), False


@cache
def _version(library: str) -> str:
    """Of the library, and of what we ask it."""
    found = installed.version_of(library) or "none"
    asks = sorted(Path(workloads.__path__[0]).rglob("*.py"))
    ours = "".join(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in asks)
    return f"{library} {found} {text_hash(ours, 16)}"
