from __future__ import annotations

from framework.api.meta import Ref
from framework.planning.reports.lineage import Edge, Lineage, Node, Sort, assemble


def chain() -> Lineage:
    """Two tables make one model, which two apps serve; a third table makes nothing."""
    nodes = [
        Node(Sort.SERVICE, "app-1"), Node(Sort.SERVICE, "app-2"), Node(Sort.MODEL, "m@1"),
        Node(Sort.TABLE, "a"), Node(Sort.TABLE, "b"), Node(Sort.TABLE, "c"), Node(Sort.SOURCES, "s"),
    ]  # fmt: skip
    edges = [
        Edge("table:a", "model:m@1"), Edge("table:b", "model:m@1"), Edge("sources:s", "table:a"),
        Edge("model:m@1", "service:app-1"), Edge("model:m@1", "service:app-2"),
    ]  # fmt: skip
    return assemble(nodes, edges)


def ids(lineage: Lineage) -> list[str]:
    return [node.id for node in lineage.nodes]


def test_nodes_and_edges_come_in_the_order_of_the_flow() -> None:
    assert ids(chain()) == [
        "sources:s", "table:a", "table:b", "table:c", "model:m@1", "service:app-1", "service:app-2",
    ]  # fmt: skip
    assert [edge.target for edge in chain().edges][:2] == ["table:a", "model:m@1"]


def test_around_a_node_is_what_it_came_from_and_what_came_from_it() -> None:
    assert ids(chain().around(lambda node: node.key == "a")) == [
        "sources:s", "table:a", "model:m@1", "service:app-1", "service:app-2",
    ]  # fmt: skip
    assert ids(chain().around(lambda node: node.key == "app-1")) == [
        "sources:s", "table:a", "table:b", "model:m@1", "service:app-1",
    ]  # fmt: skip
    assert ids(chain().around(lambda node: False)) == []


def test_edges_of_what_is_left_out_are_left_out() -> None:
    found = chain().around(lambda node: node.key == "app-1")
    assert all(edge.target != "service:app-2" for edge in found.edges)


def test_the_ends_are_what_nothing_came_from() -> None:
    assert [node.key for node in chain().ends] == ["c", "app-1", "app-2"]


def test_origins_come_nearest_first() -> None:
    nodes = [Node(Sort.COMMIT, "c1"), Node(Sort.MODEL, "m"), Node(Sort.SERVICE, "app")]
    found = assemble(nodes, [Edge("commit:c1", "service:app", "at"), Edge("model:m", "service:app")])
    app = found.nodes[-1]
    assert [(origin.id, edge.label) for origin, edge in found.origins(app)] == [("model:m", ""), ("commit:c1", "at")]


def test_what_is_known_of_a_node_is_put_together() -> None:
    ref = Ref("FeatureView", "a")
    found = assemble(
        [Node(Sort.TABLE, "a", {"rows": 1}), Node(Sort.TABLE, "a", {"rows": 2, "version": 3}, ref)],
        [Edge("table:a", "model:gone"), Edge("table:a", "table:a")],
    )
    assert found.nodes == (Node(Sort.TABLE, "a", {"rows": 1, "version": 3}, ref),)
    assert [edge.target for edge in found.edges] == ["table:a"]
