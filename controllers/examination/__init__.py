"""What only the libraries can say about specs, before anything runs: SQL that is none, columns that a file does not
have, estimators that scikit-learn does not know, values that LightGBM does not take. They are asked in a process of
their own, and not again about what stayed as it was."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from controllers.examination.memory import Answer, Memory, Seen, training_question
from controllers.examination.trees import Tree
from controllers.revision.loaded import Loaded, same_meaning
from framework import installed, workloads
from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.specs.language import words
from framework.specs.language.resource import Resource, spec_path
from framework.specs.memo.stored import resources_of
from framework.workloads.examining import Mistake

__all__ = ["Examined", "Examiner", "Memory"]

log = logging.getLogger(__name__)

_KINDS = frozenset({"FeatureView", "TrainingJob"})
_DISTRIBUTIONS = {"polars": "polars", "sklearn": "scikit-learn", "lightgbm": "lightgbm"}
_WHAT = {
    "polars": "the SQL of FeatureViews",
    "sklearn": "the estimators of TrainingJobs",
    "lightgbm": "the parameters of LightGBM in TrainingJobs",
}
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
    """A resource to ask about: the question, empty where there is none, and what the answer will rest on."""

    resource: Resource
    library: str
    question: Mapping[str, Any]
    views: Mapping[str, str]
    paths: tuple[str, ...]

    @classmethod
    def of(cls, resource: Resource, everything: Mapping[Ref, Resource]) -> _Case:
        kind, spec = resource.ref.kind, resource.raw["spec"]
        library = _library(resource)
        if kind == "TrainingJob":
            asked = training_question(spec)
            return cls(resource, library, {"kind": kind, "spec": asked} if asked else {}, {}, ())
        above = {
            found.ref.name: found
            for source in spec["sources"].values()
            if (found := everything.get(Ref(kind, source.get("featureView") or ""))) is not None
        }
        columns = {
            name: [[column["name"], column["dtype"]] for column in found.raw["spec"]["columns"]]
            for name, found in above.items()
        }
        given = (source.get("path") for source in spec["sources"].values())
        paths = tuple(dict.fromkeys(path for path in given if path and "://" not in path))
        question = {"kind": kind, "spec": spec, "views": columns}
        return cls(resource, library, question, {name: found.key for name, found in above.items()}, paths)

    def seen(self, tree: Tree) -> Seen:
        return Seen(_version(self.library), self.views, {path: tree.mark(path) for path in self.paths})


class Examiner:
    """Looks at resources, at as little as possible anew: ``memory`` keeps answers."""

    def __init__(self, memory: Memory | None = None, ask: Ask | None = None) -> None:
        self._memory = Memory() if memory is None else memory
        self._ask = ask or ask_process

    def look(self, resources: Iterable[Resource], everything: Mapping[Ref, Resource], tree: Tree) -> Examined:
        """What is wrong with ``resources``, of all those that there are, and with the files of ``tree`` they read."""
        asked = [resource for resource in resources if resource.ref.kind in _KINDS]
        known, problems = self._known(asked, everything, tree), set[Problem]()
        for resource, answer in known:
            problems |= set(_problems(resource, answer, tree))
        names = {resource.ref for resource, _ in known}
        unknown = [_Case.of(resource, everything) for resource in asked if resource.ref not in names]
        tree.look_ahead([path for case in unknown for path in case.paths])
        missing = sorted({case.library for case in unknown if case.question and not installed.is_there(case.library)})
        cases = [case for case in unknown if case.question and case.library not in missing]
        answered = self._answers(cases, tree)
        for case, answer in (*((case, ()) for case in unknown if not case.question), *answered):
            self._memory.keep(case.resource, case.seen(tree), answer)
            problems |= set(_problems(case.resource, answer, tree))
        self._memory.save(len(everything))
        silent = sorted({str(case.resource.ref) for case in cases} - {str(case.resource.ref) for case, _ in answered})
        unseen = [*map(_not_installed, missing), *(f"{ref}: the libraries gave no answer" for ref in silent)]
        return Examined(tuple(sorted(problems)), tuple(unseen))

    def _known(
        self, resources: Sequence[Resource], everything: Mapping[Ref, Resource], tree: Tree
    ) -> list[tuple[Resource, Answer]]:
        """Those that there is an answer about, which still holds."""
        tree.look_ahead([path for resource in resources for path in self._memory.files(resource)])
        found = (
            (resource, self._memory.answer(resource, everything, tree, _version(_library(resource))))
            for resource in resources
        )
        return [(resource, answer) for resource, answer in found if answer is not None]

    def changed(self, before: Loaded | None, after: Loaded, tree: Tree) -> Examined:
        """The same of what ``after`` asks for otherwise than ``before``."""
        old, resources = before.desired if before else {}, resources_of(after.desired)
        fresh = [resource for ref, resource in resources.items() if not same_meaning(old.get(ref), after.desired[ref])]
        return self.look(fresh, resources, tree)

    def _answers(self, cases: Sequence[_Case], tree: Tree) -> list[tuple[_Case, Answer]]:
        """Of each case that there is an answer to."""
        if not cases:
            return []
        with tempfile.TemporaryDirectory() as folder:
            root = tree.root_for([path for case in cases for path in case.paths], folder)
            answers = self._ask([{**case.question, "root": root, "whole": tree.whole} for case in cases])
        return [(case, answer) for case, answer in zip(cases, answers or (), strict=False) if answer is not None]


def _not_installed(library: str) -> str:
    return f"{_WHAT[library]}, because {installed.advice([library])}"


def _library(resource: Resource) -> str:
    """Whom to ask about it."""
    if resource.ref.kind == "FeatureView":
        return "polars"
    return "lightgbm" if resource.raw["spec"]["trainer"].get("lightgbm") else "sklearn"


def _problems(resource: Resource, answer: Answer, tree: Tree) -> Iterator[Problem]:
    mistakes = [Mistake(**item) for item in answer]
    outside = tree.outside(file for mistake in mistakes for file in mistake.files)
    for mistake in mistakes:
        yield _problem(resource, mistake, tree, mistake.warning or bool(outside & {*mistake.files}))


def _problem(resource: Resource, mistake: Mistake, tree: Tree, mild: bool) -> Problem:
    severity: Literal["error", "warning"] = "warning" if mild else "error"
    allowed = tuple(mistake.allowed) if len(mistake.allowed) <= _MOST_ALLOWED else ()
    suggestion = words.nearest(mistake.wanted, mistake.allowed) if mistake.wanted else None
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
    try:
        found = version(_DISTRIBUTIONS[library])
    except PackageNotFoundError:
        found = "none"
    asks = sorted(Path(workloads.__path__[0]).rglob("*.py"))
    ours = sha256("".join(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in asks).encode())
    return f"{library} {found} {ours.hexdigest()[:16]}"
