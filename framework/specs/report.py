"""Problems for people, for scripts, for GitHub's annotations and for code scanning (SARIF 2.1.0)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from framework.api.errors import Problem
from framework.specs.read import Report

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    "error": ("invalid-spec", "The specs of a commit must be valid, or nothing of it is used."),
    "warning": ("spec-warning", "Part of the spec has no effect."),
}
_EXCERPT = 160


def summary(report: Report) -> str:
    """``12 objects in 9 files: valid`` or ``12 objects in 9 files: 2 errors, 1 warning``."""
    errors, warnings = len(report.errors), len(report.problems) - len(report.errors)
    counts = [_count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    state = ", ".join((["valid"] if not errors else []) + counts)
    return f"{_count(report.objects, 'object')} in {_count(report.files, 'file')}: {state}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def text(report: Report, line_of: Callable[[str, int], str | None]) -> str:
    """Each problem with the line it stands on. ``line_of`` gives a line of a file, None where it has none."""
    lines = [line for problem in report.problems for line in _lines(problem, line_of)]
    return "\n".join([*lines, *_unseen(report), summary(report)])


def _unseen(report: Report) -> list[str]:
    return [f"not looked at: {item}" for item in report.unseen]


def _lines(problem: Problem, line_of: Callable[[str, int], str | None]) -> Iterable[str]:
    yield str(problem)
    source = line_of(problem.file, problem.line) if problem.line else None
    if source is not None and len(source) <= _EXCERPT:
        shown = source.rstrip("\r\n")
        pad = "".join("\t" if char == "\t" else " " for char in shown[: problem.column - 1])
        yield f"{problem.line:>6} | {shown}"
        yield f"{'':>6} | {pad}^"


def as_json(report: Report) -> str:
    """A stable object: valid, files, objects, errors, warnings, the problems; and ``unseen``, if there is any."""
    errors = len(report.errors)
    return json.dumps(
        {
            "valid": errors == 0,
            "files": report.files,
            "objects": report.objects,
            "errors": errors,
            "warnings": len(report.problems) - errors,
            "problems": [_fields(problem) for problem in report.problems],
            **({"unseen": list(report.unseen)} if report.unseen else {}),
        },
        indent=2,
        ensure_ascii=False,
    )


def _fields(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "severity": problem.severity,
        "message": problem.message,
        "allowed": list(problem.allowed),
        "suggestion": problem.suggestion,
    }


def _sentence(problem: Problem) -> str:
    """The problem without its place."""
    start = f"{problem.file}:{problem.line}:{problem.column}: {problem.severity}: "
    return str(problem).removeprefix(start)


def github(report: Report) -> str:
    """Workflow commands, which GitHub shows as annotations on the lines of a pull request."""
    return "\n".join([*(_annotation(problem) for problem in report.problems), *_unseen(report), summary(report)])


def _annotation(problem: Problem) -> str:
    place = {"file": problem.file}
    if problem.line:
        place |= {"line": str(problem.line), "col": str(problem.column)}
    place["title"] = problem.path or "spec"
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items())
    return f"::{problem.severity} {properties}::{_data(_sentence(problem))}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def sarif(report: Report, version: str) -> str:
    """A SARIF 2.1.0 log, for code scanning."""
    rules = [{"id": name, "shortDescription": {"text": words}} for name, words in _RULES.values()]
    return json.dumps(
        {
            "$schema": SARIF_SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": {"name": "mlopsctl", "version": version, "rules": rules}},
                    "columnKind": "unicodeCodePoints",
                    "results": [_result(problem) for problem in report.problems],
                }
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _result(problem: Problem) -> Mapping[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": quote(problem.file)}}
    if problem.line:
        location["region"] = {"startLine": problem.line, "startColumn": problem.column}
    return {
        "ruleId": _RULES[problem.severity][0],
        "level": problem.severity,
        "message": {"text": _sentence(problem)},
        "locations": [{"physicalLocation": location}],
    }
