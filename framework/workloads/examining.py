"""What only the libraries can say about a spec: ``python -m framework.workloads.examining`` reads questions and writes
answers, as JSON. It is a process of its own, so that nobody else has to load what is heavy."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """A mistake at a dotted path of a spec. ``line`` and ``column`` count from 1 in the text that stands there; 0: the
    value as a whole. ``files`` are those that it rests on; ``warning``: a run might still do without."""

    path: str
    message: str
    allowed: Sequence[str] = ()
    wanted: str | None = None
    line: int = 0
    column: int = 0
    files: Sequence[str] = ()
    warning: bool = False


def answer(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with one spec. ``question`` is {look (``module:function``), spec (JSON by alias), ...}; what else
    depends on who looks."""
    module, _, function = question["look"].partition(":")
    look: Callable[[Mapping[str, Any]], Iterable[Mistake]] = getattr(importlib.import_module(module), function)
    return [asdict(mistake) for mistake in look(question)]


def try_answer(question: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """None where a library breaks over a question: the others are answered all the same."""
    try:
        return answer(question)
    except BaseException as error:  # a panic of an engine written in Rust is no Exception
        print(f"no answer: {error!r}", file=sys.stderr)
        return None


def main() -> None:
    print(json.dumps([try_answer(question) for question in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
