"""A failed validation -> what is wrong, at which path, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from framework.api import fields
from framework.api.credentials import redacted
from framework.api.meta import NAME_PATTERN, Metadata
from framework.specs.language import words
from framework.specs.yaml.paths import Path
from framework.specs.yaml.positions import MAX_PROBLEMS


def _pattern_of(annotation: Any) -> str:
    return str(next(item.pattern for item in annotation.__metadata__ if getattr(item, "pattern", None)))


_PATTERNS: Mapping[str, str] = {
    NAME_PATTERN: "is not a name: lower-case letters, digits and '-', with a letter or digit first and last",
    _pattern_of(fields.Entrypoint): "does not name code; write package.module:attribute",
    _pattern_of(fields.CronExpression): "is not a cron expression of five fields such as 0 * * * *",
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
    "multiple_of": ("multiple_of", "must be a multiple of"),
}
_MAX_HOMES = 2
_MAX_ERRORS = 1000
"""Of one object; a value that could be several things may have one for each, and more are not looked at."""
_MAX_MESSAGE = 300
_MAX_SUGGESTION = 200
_BOOLEAN_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class Finding(NamedTuple):
    """One mistake at a path of an object; ``at_key`` where the key itself is the mistake, ``secret`` where what stands
    there must not be shown."""

    path: Path
    message: str
    allowed: tuple[str, ...] = ()
    suggestion: str | None = None
    at_key: bool = False
    secret: bool = False


class _Trace(NamedTuple):
    """A pydantic error on the data: its path without the union members that pydantic puts in between."""

    type: str
    context: Mapping[str, Any]
    path: Path
    union: Path | None
    on_key: bool


def explain(error: ValidationError, model: type[BaseModel], data: Any, prefix: Path) -> list[Finding]:
    """Every mistake of an object that ``model`` refused, at paths below ``prefix``.

    Of a union's members only the one counts whose shape was written; a key that is missing because another one is
    misspelt is told once.
    """
    errors = error.errors(include_url=False, include_input=False)[:_MAX_ERRORS]
    traces = [_trace(item, data) for item in errors]
    found: dict[Finding, None] = {}
    for trace in _of_unions(traces):
        finding = _finding(trace, model, data)
        if finding is not None:
            found.setdefault(finding)
        if len(found) >= MAX_PROBLEMS:
            break
    meant = {(*finding.path[:-1], finding.suggestion) for finding in found if finding.at_key and finding.suggestion}
    missing = {trace.path for trace in traces if trace.type == "missing"}
    return [
        item._replace(
            path=(*prefix, *item.path),
            suggestion=_offered(
                item.suggestion, item.path[-1] if item.at_key and item.path else value_at(data, item.path)
            ),
        )
        for item in found
        if not (item.path in missing and item.path in meant)
    ]


def _trace(item: Any, data: Any) -> _Trace:
    path: Path = ()
    union: Path | None = None
    current = data
    location = item["loc"]
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if isinstance(current, list) and isinstance(part, int):
            path, current = (*path, part), current[part] if part < len(current) else None
        elif isinstance(current, dict) and part in current:
            path, current = (*path, part), current[part]
        elif last and item["type"] == "missing":
            path = (*path, part)
        elif part != "[key]":
            union = path
    return _Trace(item["type"], item.get("ctx", {}), path, union, location[-1:] == ("[key]",))


def _of_unions(traces: Sequence[_Trace]) -> Iterable[_Trace]:
    """Errors of a union's members reduced to those of the member that fits, or to one that stands for all of them."""
    told: set[Path] = set()
    members: dict[Path | None, list[_Trace]] = {}
    for trace in traces:
        members.setdefault(trace.union, []).append(trace)
    for trace in traces:
        if trace.union is None:
            yield trace
            continue
        together = members[trace.union]
        fitting = [other for other in together if other.path != trace.union or other.type == "value_error"]
        if fitting:
            if trace in fitting:
                yield trace
        elif trace.union not in told:
            told.add(trace.union)
            yield _Trace("union", {}, trace.union, trace.union, False)


def value_at(data: Any, path: Path) -> Any:
    """The value at ``path``, None where there is none."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _finding(trace: _Trace, model: type[BaseModel], data: Any) -> Finding | None:
    path, value = trace.path, value_at(data, trace.path)
    annotation = words.at(model, path)
    match trace.type:
        case "extra_forbidden":
            return _unknown_key(path, model)
        case "missing" if isinstance(path[-1], int):
            return _length(path[:-1], words.at(model, path[:-1]), value_at(data, path[:-1]))
        case "missing":
            return Finding(path, f"is missing{_expected(model, path)}", allowed=words.literals(annotation))
        case "too_short" | "too_long":
            return _size(trace, annotation, value)
        case "string_too_short":
            least = f"must have at least {trace.context['min_length']} characters"
            return Finding(path, "must not be empty" if value == "" else least)
        case "string_too_long":
            return Finding(path, f"has {len(str(value))} characters; at most {trace.context['max_length']} are allowed")
        case "string_pattern_mismatch":
            return _pattern(trace, str(path[-1]) if trace.on_key else str(value))
        case "finite_number":
            return Finding(path, "must be a finite number")
        case "unknown_word":
            word, allowed = str(trace.context["word"]), tuple(trace.context["allowed"])
            message = f"{trace.context['message']} {words.shorten(word)!r}"
            return Finding(path, message, allowed, words.nearest(word, allowed), at_key=trace.on_key)
        case "value_error" | "assertion_error":
            error = trace.context["error"]
            suggestion = words.duration(value) if "a duration" in words.describe(annotation) else None
            return Finding(path, _brief(str(error)), suggestion=suggestion or getattr(error, "suggestion", None))
        case kind if kind in _BOUNDS:
            name, text = _BOUNDS[kind]
            bound = trace.context[name]
            limit = f"{bound:g}" if isinstance(bound, int | float) else bound  # a date comes as text
            return Finding(path, f"{text} {limit}, found {value}")
    return _mismatch(path, annotation, value)


def _expected(model: type[BaseModel], path: Path) -> str:
    """What a missing field wants; words that are allowed are listed with the problem anyway."""
    annotation = words.at(model, path)
    only_words = len(words.alternatives(annotation)) == 1 and words.literals(annotation)
    described = "" if only_words else f"; expected {words.describe(annotation)}"
    for parent in words.models(words.at(model, path[:-1])):
        info = words.keys(parent).get(str(path[-1]))
        if info is not None and info.description:
            return f"{described}: {info.description}"
    return described


def _unknown_key(path: Path, model: type[BaseModel]) -> Finding:
    key = str(path[-1])
    parents = words.models(words.at(model, path[:-1]))
    allowed = tuple(sorted({name for parent in parents for name in words.keys(parent)}))
    suggestion = words.nearest(key, allowed)
    message = f"unknown key {words.shorten(key)!r}"
    if suggestion is None:
        places = [f"spec{place}" for place in words.homes(model, key)] if model is not Metadata else []
        if len(path) == 1 and key in words.keys(Metadata):
            places = ["metadata"]
        if 0 < len(places) <= _MAX_HOMES:
            message += f" here; it belongs to {' or '.join(places)}"
    return Finding(path, message, allowed, suggestion, at_key=True)


def _length(path: Path, annotation: Any, value: Any) -> Finding:
    count = len(value) if isinstance(value, list) else 0
    return Finding(path, f"expected {words.describe(annotation)}, found {_items(count)}")


def _brief(message: str) -> str:
    """A validator may quote or list what was written, however much that is."""
    told = redacted(message)
    return told if len(told) <= _MAX_MESSAGE else f"{told[:_MAX_MESSAGE]}…"


def _offered(suggestion: str | None, value: Any) -> str | None:
    """Not where it is long, nor where it is made of a secret."""
    if suggestion is None or len(suggestion) > _MAX_SUGGESTION:
        return None
    return None if isinstance(value, str) and redacted(value) != value else suggestion


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _size(trace: _Trace, annotation: Any, value: Any) -> Finding | None:
    count = len(value) if isinstance(value, list | dict) else 0
    if trace.type == "too_short":
        least = int(trace.context["min_length"])
        if count >= least:  # items that are wrong themselves were not counted
            return None
        return Finding(trace.path, f"must hold at least {_items(least)}, found {_items(count) if count else 'none'}")
    if (
        isinstance(value, list)
        and words.describe(annotation).startswith("a list of ")
        and "field_type" in trace.context
    ):
        return Finding(trace.path, f"expected {words.describe(annotation)}, found {_items(count)}")
    return Finding(trace.path, f"may hold at most {_items(int(trace.context['max_length']))}, found {_items(count)}")


def _pattern(trace: _Trace, text: str) -> Finding:
    pattern = str(trace.context["pattern"])
    message = _PATTERNS.get(pattern, f"does not have the form {pattern}")
    suggestion = words.fitting(text, pattern)
    return Finding(trace.path, f"{words.shorten(text)!r} {message}", suggestion=suggestion, at_key=trace.on_key)


def _mismatch(path: Path, annotation: Any, value: Any) -> Finding:
    allowed = words.literals(annotation)
    if isinstance(value, str) and allowed:
        message = f"{words.shorten(value)!r} is not allowed here"
        if len(words.alternatives(annotation)) > 1:
            message += f"; expected {words.describe(annotation)}"
        return Finding(path, message, allowed, words.nearest(value, allowed))
    if value is None:
        return Finding(path, f"is empty; expected {words.describe(annotation)}", allowed)
    kinds = set(words.alternatives(annotation))
    hint = ""
    suggestion = None
    if str in kinds and isinstance(value, bool | int | float):
        hint = "; quote it"
    elif isinstance(value, str) and kinds & {int, float, bool} and _reads_as(value, kinds):
        hint = "; take the quotes away"
    elif isinstance(value, str) and bool in kinds:
        suggestion = _BOOLEAN_WORDS.get(value.casefold())
    elif isinstance(value, str) and kinds & {int, float}:
        suggestion = words.number(value, whole=float not in kinds)
    return Finding(
        path, f"expected {words.describe(annotation)}, found {words.found(value)}{hint}", allowed, suggestion
    )


def _reads_as(text: str, kinds: set[Any]) -> bool:
    if bool in kinds and text in {"true", "false"}:
        return True
    try:
        return bool(kinds & {int, float}) and (float(text) == int(float(text)) or float in kinds)
    except (ValueError, OverflowError):
        return False
