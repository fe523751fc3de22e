"""Links, records and commands that documents speak of lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
RECORDS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """The text without code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    titles = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def links(path: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of every link that stays in the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield (path.parent / file if file else path), anchor


def test_there_are_documents_to_look_at() -> None:
    assert {"README.md", "docs/cli.md", "docs/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {
        name_of(path) for path in DOCUMENTS
    }


def named(pattern: str) -> Iterator[tuple[str, str]]:
    """(document, word) of everything that documents name so."""
    for path in DOCUMENTS:
        yield from ((name_of(path), word) for word in re.findall(pattern, path.read_text(), flags=re.MULTILINE))


def test_links_lead_somewhere() -> None:
    lost = [
        f"{name_of(path)}: {file}#{anchor}"
        for path in DOCUMENTS
        for file, anchor in links(path)
        if not file.exists() or (anchor and anchor not in anchors(file))
    ]
    assert lost == []


def test_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert [item for item in named(r"(?:`|^    |^)make ([a-z]+)") if item[1] not in targets] == []


def test_commands_that_documents_name_exist() -> None:
    from controllers.cli.main import COMMANDS

    words = named(r"(?:`|^    )mlopsctl (?:--?[\w-]+ (?:[A-Z]+ )?)*([a-z]+)")
    assert [item for item in words if item[1] not in COMMANDS] == []


def test_files_that_documents_name_exist() -> None:
    places = named(r"`((?:framework|controllers|examples|docs|tests|mlops_specs)/[\w./-]+)`")
    assert [item for item in places if not (ROOT / item[1]).exists()] == []


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


def well_formed(path: Path) -> bool:
    text = path.read_text()
    return (
        re.match(rf"# {path.name[:4]}\. .+\n", text) is not None
        and re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]
        and re.search(r"^Status: (accepted|superseded by \d{4}), \d{4}-\d{2}-\d{2}$", text, re.MULTILINE) is not None
    )


def test_decisions_say_what_why_and_at_what_price() -> None:
    assert [name_of(path) for path in RECORDS if not well_formed(path)] == []
