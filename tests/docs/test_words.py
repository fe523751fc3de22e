"""One word has one meaning: no class name is given twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.docs.test_pure_rooms import ALL, name_of


def twice(classes: Iterator[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Names that are given to more than one class, and where. ``classes`` are (name, file)."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, file in classes:
        found[name].append(file)
    return {name: files for name, files in found.items() if len(files) > 1}


def classes(text: str) -> Iterator[str]:
    """Public classes of a module, but not those inside of others."""
    yield from re.findall(r"^class ([A-Z]\w*)", text, re.MULTILINE)


def test_no_class_name_means_two_things() -> None:
    assert twice((name, name_of(path)) for path in ALL for name in classes(path.read_text())) == {}


def test_a_name_that_is_given_twice_would_be_noticed() -> None:
    text = "class Step(Strict):\n    class Inner: ...\n\n\nclass _Mine: ...\n"
    assert list(classes(text)) == ["Step"]
    assert twice(iter([("Step", "a.py"), ("Plan", "a.py"), ("Step", "b.py")])) == {"Step": ["a.py", "b.py"]}
