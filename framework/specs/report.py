"""Problems for people, for scripts, for GitHub's annotations and for code scanning (SARIF 2.1.0)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from framework.api.credentials import HIDDEN, plain_webhook, redacted, redacted_source
from framework.api.errors import Problem
from framework.api.printing import printable
from framework.api.secret_names import named_secret
from framework.specs.read import Report
from framework.specs.yaml import paths

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    "error": ("invalid-spec", "The specs of a commit must be valid, or nothing of it is used."),
    "warning": ("spec-warning", "Part of the spec has no effect."),
}
_EXCERPT = 160
_WEB_ADDRESS = re.compile(r"(https?://[^\s/?#@\"']*)[/?#@][^\s\"']*", re.IGNORECASE)
_INDEX = re.compile(r"\[\d+\]")


def summary(report: Report, *, strict: bool = False) -> str:
    """``12 objects in 9 files: valid`` or ``12 objects in 9 files: 2 errors, 1 warning``. ``strict``: what has warnings
    is not called valid."""
    errors, warnings = len(report.errors), len(report.problems) - len(report.errors)
    counts = [_count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    failed = errors or (strict and warnings)
    state = ", ".join((["valid"] if not failed else []) + counts)
    return f"{_count(report.objects, 'object')} in {_count(report.files, 'file')}: {state}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def text(report: Report, line_of: Callable[[str, int], str | None], *, strict: bool = False) -> str:
    """Each problem with the line it stands on. ``line_of`` gives a line of a file, None where it has none."""
    line_of = _unless_secret(report, line_of)
    lines = [line for problem in report.problems for line in _lines(problem, line_of)]
    return "\n".join([*lines, *_unseen(report), summary(report, strict=strict)])


def brief(report: Report, line_of: Callable[[str, int], str | None], *, strict: bool = False) -> str:
    """The same in few lines: of warnings that say the same of the same field, the first one and how many there are."""
    line_of = _unless_secret(report, line_of)
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in report.problems:
        if problem.severity == "warning":
            alike.setdefault((_INDEX.sub("[]", problem.path), problem.message), []).append(problem)
    lines = [line for problem in report.errors for line in _lines(problem, line_of)]
    for first, *others in alike.values():
        lines.append(f"{first} (and {len(others):,} more like it)" if others else str(first))
    return "\n".join([*lines, *_unseen(report), summary(report, strict=strict)])


def _unseen(report: Report) -> list[str]:
    return [f"not looked at: {item}" for item in report.unseen]


def _unless_secret(report: Report, line_of: Callable[[str, int], str | None]) -> Callable[[str, int], str | None]:
    """No line on which a secret was found, whichever problem it is to be shown for: the form of what a check knows to
    be secret need not tell it from other words."""
    secret = {(problem.file, problem.line) for problem in report.problems if problem.secret}
    return lambda file, line: None if (file, line) in secret else line_of(file, line)


def _lines(problem: Problem, line_of: Callable[[str, int], str | None]) -> Iterable[str]:
    yield str(problem)
    # Under a name that says so a value may stand on any line, and has no form by which it is found.
    secret = any(isinstance(part, str) and named_secret(part) for part in paths.parse(problem.path))
    source = line_of(problem.file, problem.line) if problem.line and not secret else None
    if source is not None and len(source) <= _EXCERPT:
        excerpt = printable(_shown_source(source.expandtabs(4).rstrip()))
        pad = " " * len(printable(_shown_source(source[: problem.column - 1].expandtabs(4))))
        yield f"{problem.line:>6} | {excerpt}"
        yield f"{'':>6} | {pad}^"


def _shown_source(line: str) -> str:
    """A line as an excerpt, addresses cut to where they lead: of an object with a mistake nobody knows yet which of its
    addresses are keys to themselves."""
    return _WEB_ADDRESS.sub(
        lambda found: found[0] if plain_webhook(found[0]) else f"{found[1]}/{HIDDEN}", redacted_source(line)
    )


def as_json(report: Report, *, strict: bool = False) -> str:
    """A stable object: valid, files, objects, errors, warnings, the problems; and ``unseen``, if there is any."""
    errors = len(report.errors)
    return json.dumps(
        {
            "valid": not (report.problems if strict else report.errors),
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
        "file": printable(problem.file),
        "line": problem.line,
        "column": problem.column,
        "path": redacted(problem.path),
        "severity": problem.severity,
        "message": redacted(problem.message),
        "allowed": [redacted(word) for word in problem.allowed],
        "suggestion": None if problem.suggestion is None else redacted(problem.suggestion),
    }


def _sentence(problem: Problem) -> str:
    """The problem without its place."""
    start = f"{problem.file}:{problem.line}:{problem.column}: {problem.severity}: "
    return str(problem).removeprefix(printable(start))


def github(report: Report, *, strict: bool = False) -> str:
    """Workflow commands, which GitHub shows as annotations on the lines of a pull request."""
    lines = (_annotation(problem) for problem in report.problems)
    return "\n".join([*lines, *_unseen(report), summary(report, strict=strict)])


def _annotation(problem: Problem) -> str:
    place = {"file": printable(problem.file)}
    if problem.line:
        place |= {"line": str(problem.line), "col": str(problem.column)}
    place["title"] = redacted(problem.path) or "spec"
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
    uri = quote(problem.file.encode("utf-8", "surrogateescape"))
    location: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if problem.line:
        location["region"] = {"startLine": problem.line, "startColumn": problem.column}
    return {
        "ruleId": _RULES[problem.severity][0],
        "level": problem.severity,
        "message": {"text": _sentence(problem)},
        "locations": [{"physicalLocation": location}],
    }
