"""Whether a cluster has a node for what a resource starts, by what nodes are and not by what is free. Pure."""

from __future__ import annotations

from framework.api import node_labels
from framework.planning.grammar.kind import Needs
from framework.ports import Capacity


def why_nowhere(needs: Needs, capacity: Capacity) -> str:
    """Why no node will do; empty where one may."""
    there = capacity.accelerators
    if needs.accelerator is not None and there is not None and needs.accelerator not in there:
        return f"needs nodes with {needs.accelerator}, and the cluster has {', '.join(there) or 'no accelerator'}"
    return "" if capacity.labels is None else node_labels.why_nowhere(capacity.labels, needs.labels)
