"""Lineage as a tree and as Mermaid: nothing that a user wrote is read as syntax."""

from __future__ import annotations

import re

import pytest

from framework.api.meta import Ref
from framework.planning.reports.lineage import Edge, Lineage, Node, Sort, assemble
from framework.render.lineage import lineage_json, lineage_mermaid, lineage_text

HOSTILE = '"] --> x; %% <script>alert(1)</script> `b` #quot; | \\ {{ }} [( end ]\nsubgraph \x1b[31m _i_ **b** ~~~'
NODE = re.compile(r'    n\d+(\(\[|\[/|\[\(|\{\{|\[|>)"([^"]*)"(\]\)|/\]|\)\]|\}\}|\])')
EDGE = re.compile(r'    n\d+ -->(\|"[^"]*"\|)? n\d+')


def commit(subject: str) -> Node:
    return Node(Sort.COMMIT, "c" * 40, {"subject": subject})


def diamond() -> Lineage:
    """Two tables of one commit, and the model that both went into."""
    facts = {"build": "b", "version": 0, "rows": 1234}
    metrics = {"auc": 0.5, "validation_auc": 1.0}
    nodes = [
        commit("first"),
        *(Node(Sort.TABLE, name, facts, Ref("FeatureView", name)) for name in "ab"),
        Node(Sort.MODEL, "m@1", {"deployable": False, "metrics": metrics, "sha256": "0" * 64}),
    ]
    edges = [Edge(f"table:{name}", "model:m@1") for name in "ab"]
    edges += [Edge(f"commit:{'c' * 40}", f"table:{name}", "at") for name in "ab"]
    return assemble(nodes, edges)


def test_the_tree_goes_from_the_last_thing_to_the_first() -> None:
    assert lineage_text(diamond()).splitlines() == [
        "m@1  auc 0.5000, failed its gates, sha256 000000000000",
        "├─ FeatureView/a  1,234 rows, build b, version 0",
        '│  └─ at: commit ccccccc  "first"',
        "└─ FeatureView/b  1,234 rows, build b, version 0",
        '   └─ at: commit ccccccc  "first"',
    ]


def test_what_was_explained_is_not_explained_again() -> None:
    nodes = [commit("x"), Node(Sort.MODEL, "m@1", {"registered": False}), Node(Sort.SERVICE, "p", SERVICE), MONITOR]
    edges = [
        Edge(f"commit:{'c' * 40}", "model:m@1"), Edge("model:m@1", "service:p"),
        Edge("model:m@1", "monitor:w", "baseline"), Edge("service:p", "monitor:w", "watched by"),
    ]  # fmt: skip
    text = lineage_text(assemble(nodes, edges))
    assert text.count("commit ccccccc") == 1
    assert "baseline: m@1  not in the registry  (see above)" in text


SERVICE = {"deployment": "d", "role": "stable", "weight": 100, "route": "/d"}
MONITOR = Node(Sort.MONITOR, "w", {"summary": "watches"})


@pytest.mark.parametrize("text", [HOSTILE, "", "x" * 5000, "ünïcödé 漢字 🙂", "end", "n0"])
def test_mermaid_reads_nothing_that_a_user_wrote(text: str) -> None:
    nodes = [commit(text), Node(Sort.MONITOR, text or "w", {"summary": text})]
    edges = [Edge(f"commit:{'c' * 40}", f"monitor:{text or 'w'}", text)]
    rows = lineage_mermaid(assemble(nodes, edges)).splitlines()
    assert rows[0] == "flowchart LR"
    assert len(rows) == 4
    for row in rows[1:]:
        assert NODE.fullmatch(row) or EDGE.fullmatch(row), row
        assert row.isprintable()
        inside = "".join(re.findall(r'"([^"]*)"', row)).replace("<br/>", "")
        assert not set(inside) & set("<>`|\\[]{}"), row
        assert re.sub(r"#\d+;", "", inside).count(";") == 0


def test_the_text_is_steered_by_nothing_that_a_user_wrote() -> None:
    text = lineage_text(assemble([commit(HOSTILE)], []), width=200)
    assert "\x1b" not in text
    assert len(text.splitlines()) == 1


def test_nothing_built_yet() -> None:
    empty = assemble([], [])
    assert lineage_text(empty) == "Nothing was built yet.\n"
    assert lineage_mermaid(empty) == "flowchart LR\n"
    assert '"nodes": []' in lineage_json("local", empty)
