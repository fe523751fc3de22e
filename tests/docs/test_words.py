"""One word has one meaning: no class name is given twice, and docs/glossary.md names what there is."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from framework.api.categories import Category
from framework.kinds import KINDS
from framework.planning.reports.health import Sync
from tests.docs.test_pure_rooms import ALL, name_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text()
ROWS = re.findall(r"^\| \*\*(.+?)\*\*.*\| `([\w.]+)` \|$", PAGE, re.MULTILINE)


def twice(classes: Iterator[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Names that are given to more than one class, and where. ``classes`` are (name, file)."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, file in classes:
        found[name].append(file)
    return {name: files for name, files in found.items() if len(files) > 1}


def classes(text: str) -> Iterator[str]:
    """Public classes of a module, but not those inside of others."""
    yield from re.findall(r"^class ([A-Z]\w*)", text, re.MULTILINE)


def bound(module: Path) -> set[str]:
    """Names that a module gives to something, or takes from elsewhere."""
    found = set[str]()
    for node in ast.parse(module.read_text()).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Assign(targets=targets):
                found.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.ImportFrom(names=names):
                found.update(alias.asname or alias.name for alias in names)
    return found


def exists(name: str) -> bool:
    """Whether a dotted name is a package, a module, or what a module binds."""
    path = ROOT / name.replace(".", "/")
    if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
        return True
    home = next((file for file in (path.parent.with_suffix(".py"), path.parent / "__init__.py") if file.exists()), None)
    return home is not None and path.name in bound(home)


def test_no_class_name_means_two_things() -> None:
    assert twice((name, name_of(path)) for path in ALL for name in classes(path.read_text())) == {}


def test_a_name_that_is_given_twice_would_be_noticed() -> None:
    text = "class Step(Strict):\n    class Inner: ...\n\n\nclass _Mine: ...\n"
    assert list(classes(text)) == ["Step"]
    assert twice(iter([("Step", "a.py"), ("Plan", "a.py"), ("Step", "b.py")])) == {"Step": ["a.py", "b.py"]}


def test_no_word_is_explained_twice() -> None:
    words = [word for word, _ in ROWS]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("name", sorted({name for _, name in ROWS}))
def test_what_the_glossary_names_exists(name: str) -> None:
    assert exists(name)


def test_what_is_nowhere_would_be_noticed() -> None:
    here = "framework.planning.grammar"
    assert all(exists(f"{here}{name}") for name in ("", ".changes", ".changes.Change"))
    assert not any(exists(f"{here}{name}") for name in (".change", ".changes.Chance", ".Change"))


@pytest.mark.parametrize("word", [*KINDS, *(word.value for word in Sync), *(item.label for item in Category)])
def test_the_words_that_people_meet_are_explained(word: str) -> None:
    assert word in {word for word, _ in ROWS}
