"""The formats of the files that FeatureViews read, and what is to be known of each without its library. Pure, because
the rules of specs and the workload that reads have to mean the same. Adding one: an entry below; its reader, a file in
``framework/workloads/features/readers/``, and a line in ``framework/workloads/features/sources.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Option(NamedTuple):
    """``word`` is how the library calls it that reads; ``expects`` says in words which values fit."""

    word: str
    expects: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class FileFormat:
    """``note`` is told beside its name where formats are listed."""

    options: Mapping[str, Option] = field(default_factory=dict)
    note: str = ""
    together: Callable[[Mapping[str, Any]], str] = lambda options: ""
    """What is wrong with options that may each be right; empty where nothing is."""


ENCODINGS: Mapping[str, str | None] = {
    "utf8": None,
    "utf8-lossy": None,
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf16": "utf-16",
}
"""By what ``encoding`` may say: the codec by which text is turned into UTF-8 before it is read."""


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_character(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value.isascii()


def _are_texts(value: Any) -> bool:
    return all(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))


def _truth(word: str) -> Option:
    return Option(word, "true or false", _is_truth)


def _count(word: str) -> Option:
    return Option(word, "a whole number from 0 on", _is_count)


_CSV = {
    "nullValues": Option("null_values", "text or a list of texts", _are_texts),
    "separator": Option("separator", "one ASCII character", _is_character),
    "decimalComma": _truth("decimal_comma"),
    "quoteChar": Option(
        "quote_char",
        "one ASCII character, or empty text for none",
        lambda value: value == "" or _is_character(value),
    ),
    "hasHeader": _truth("has_header"),
    "skipRows": _count("skip_rows"),
    "encoding": Option(
        "encoding", f"one of {', '.join(ENCODINGS)}", lambda value: isinstance(value, str) and value in ENCODINGS
    ),
    "inferSchemaLength": Option(
        "infer_schema_length", "a whole number from 1 on", lambda value: _is_count(value) and value > 0
    ),
    "parseDates": _truth("try_parse_dates"),
    "commentPrefix": Option("comment_prefix", "text", lambda value: isinstance(value, str)),
}


def _signs(options: Mapping[str, Any]) -> str:
    if options.get("decimalComma") and options.get("separator", ",") == ",":
        return "decimalComma needs a separator that is no comma, such as separator: ';'"
    return ""


FILE_FORMATS: Mapping[str, FileFormat] = {
    "csv": FileFormat(_CSV, "csv may lie in a zip, or be packed by gzip or zstd", _signs),
    "parquet": FileFormat(
        {"hivePartitioning": _truth("hive_partitioning"), "allowMissingColumns": _truth("missing_columns")}
    ),
    "ndjson": FileFormat(note="ndjson is a JSON object on each line"),
    "arrow": FileFormat(note="arrow is Arrow IPC, a file or a stream"),
    "delta": FileFormat({"version": _count("version")}),
}
