"""What came from what: as a tree, as JSON, and as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from framework.api.printing import shown
from framework.planning.plan.files import counted
from framework.planning.reports.lineage import Edge, Lineage, Node, Sort
from framework.render.canonical import document
from framework.render.diffs import QUIET
from framework.render.terminal import DEFAULT_WIDTH, Line, one_line, text_of, under
from framework.render.wording import count, short

FORMAT = 1

LONGEST_FACT = 120
"""Characters of one fact among others; JSON has it in full."""
_SHOWN_FILES = 3
_SHORT_DIGEST = 14
"""Characters of what names a file, with the word for how it does."""
_SHORT_HASH = 12
"""Characters of a SHA-256 shown to people."""


# ------------------------------------------------------------------- text


def lineage_text(lineage: Lineage, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """What nothing came from stands at the top; below each thing what it came from, each explained once."""
    if not lineage.nodes:
        return "Nothing was built yet.\n"
    lines: list[Line] = []
    explained: set[str] = set()
    for end in reversed(lineage.ends):
        lines += [*([()] if lines else []), *_tree(lineage, end, Edge("", end.id), ("", ""), explained, width)]
    return text_of(lines, colour=colour)


def _tree(
    lineage: Lineage, node: Node, edge: Edge, branch: tuple[str, str], explained: set[str], width: int
) -> Iterator[Line]:
    """``branch``: what stands before the node's first line, and before all that is below it."""
    origins = lineage.origins(node)
    repeated = node.id in explained and bool(origins)
    explained.add(node.id)
    title, facts = _words(node)
    lead, indent = branch
    head = f"{edge.label}: {title}" if edge.label else title
    told = "".join([f"  {', '.join(facts)}" if facts else "", "  (see above)" if repeated else ""])
    below = f"{indent}{'│  ' if origins and not repeated else '   '}"
    yield from under(head, told, lead=lead, stem=below, width=width, style=_LOOKS[node.sort].style)
    if repeated:
        return
    for number, (origin, above) in enumerate(origins, 1):
        turn, line = ("└─ ", "   ") if number == len(origins) else ("├─ ", "│  ")
        yield from _tree(lineage, origin, above, (f"{indent}{turn}", f"{indent}{line}"), explained, width)


def _words(node: Node) -> tuple[str, list[str]]:
    """(title, what is known of it), each on one line."""
    look = _LOOKS[node.sort]
    return one_line(look.title(node)), [one_line(part, LONGEST_FACT) for part in look.facts(node.facts)]


def _of_commit(facts: Mapping[str, Any]) -> list[str]:
    return [f'"{facts["subject"]}"'] if facts.get("subject") else []


def _of_sources(facts: Mapping[str, Any]) -> list[str]:
    paths, files = facts.get("paths", {}), facts.get("files", {})
    return [": ".join(filter(None, (name, paths.get(name), _read(files.get(name))))) for name in {**paths, **files}]


def _read(files: Mapping[str, Any] | None) -> str:
    """``2 files, 12 MB (data/a.csv git:3f2a91c, data/b.csv git:77aa01b)``."""
    if files is None:
        return ""
    named = [f"{file['label']} {file['digest'][:_SHORT_DIGEST]}" for file in files["files"][:_SHOWN_FILES]]
    more = [f"{files['count'] - len(named)} more"] if files["count"] > len(named) else []
    return f"{counted(files['count'], files['size'])} ({', '.join([*named, *more])})"


def _of_code(facts: Mapping[str, Any]) -> list[str]:
    inside = [path.removeprefix(f"{facts['folder']}/") for path in facts["files"]]
    return [facts["folder"], f"{count(len(inside), 'file')}: {', '.join(inside)}"]


def _of_table(facts: Mapping[str, Any]) -> list[str]:
    rows = [count(facts["rows"], "row")] if "rows" in facts else []
    return [*rows, f"build {facts['build']}", f"version {facts['version']}"]


def _of_model(facts: Mapping[str, Any]) -> list[str]:
    if facts.get("registered") is False:
        return ["not in the registry"]
    rows = facts.get("rows") or {}
    metrics = {name: value for name, value in facts.get("metrics", {}).items() if not name.startswith("validation_")}
    return [
        *(f"{name} {value:.4f}" for name, value in metrics.items()),
        *(["failed its gates"] if not facts["deployable"] else []),
        *([f"{rows['train']:,} training rows"] if "train" in rows else []),
        f"sha256 {facts['sha256'][:_SHORT_HASH]}",
        *([f"run {facts['run']}"] if "run" in facts else []),
    ]


def _of_service(facts: Mapping[str, Any]) -> list[str]:
    return [*([facts["route"]] if "route" in facts else []), f"{facts['role']}, {facts['weight']} % of the traffic"]


def _of_monitor(facts: Mapping[str, Any]) -> list[str]:
    return [facts["summary"]] if facts.get("summary") else []


class _Look(NamedTuple):
    """How nodes of a sort are shown: by which title, with which facts, in which shape and style."""

    title: Callable[[Node], str]
    facts: Callable[[Mapping[str, Any]], list[str]]
    shape: tuple[str, str]
    style: str = ""


_LOOKS: Mapping[Sort, _Look] = {
    Sort.COMMIT: _Look(lambda node: f"commit {short(node.key)}", _of_commit, ("([", "])"), QUIET),
    Sort.SOURCES: _Look(lambda node: f"sources {node.facts.get('digest', '')}".rstrip(), _of_sources, ("[/", "/]")),
    Sort.CODE: _Look(lambda node: f"code {short(node.key)}", _of_code, ("[/", "/]")),
    Sort.TABLE: _Look(lambda node: str(node.ref), _of_table, ("[(", ")]")),
    Sort.MODEL: _Look(lambda node: node.key, _of_model, ("{{", "}}"), "bold"),
    Sort.SERVICE: _Look(lambda node: f"{node.ref} ({node.key})", _of_service, ("[", "]"), "bold green"),
    Sort.MONITOR: _Look(lambda node: str(node.ref), _of_monitor, (">", "]"), "bold"),
}


# ------------------------------------------------------------------- JSON


def lineage_json(environment: str, lineage: Lineage) -> str:
    """Nodes in the order of the flow, and edges between their ids. Equal lineages give equal bytes."""
    nodes = [
        {"id": node.id, "sort": node.sort, "key": node.key, "ref": node.ref, "facts": node.facts}
        for node in lineage.nodes
    ]
    return document({"format": FORMAT, "environment": environment, "nodes": nodes, "edges": lineage.edges})


# ------------------------------------------------------------------- Mermaid


def lineage_mermaid(lineage: Lineage) -> str:
    """A flowchart in the direction of the flow. Ids are numbers of our own, and texts are quoted and escaped, so that
    nothing that a user wrote is read as syntax."""
    ids = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    lines = ["flowchart LR"]
    for node in lineage.nodes:
        (opening, closing), (title, facts) = _LOOKS[node.sort].shape, _words(node)
        text = "<br/>".join(_escaped(part) for part in (title, *facts))
        lines.append(f'    {ids[node.id]}{opening}"{text}"{closing}')
    for edge in lineage.edges:
        label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
        lines.append(f"    {ids[edge.source]} -->{label} {ids[edge.target]}")
    return "\n".join(lines) + "\n"


_SPELT = str.maketrans({character: f"#{ord(character)};" for character in "#\"'<>`&;\\|%[](){}*_~"})


def _escaped(text: str) -> str:
    """Mermaid's entity codes for all that it, Markdown or HTML could take for more than text."""
    return shown(text).translate(_SPELT)
