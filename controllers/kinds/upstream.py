"""What an upstream resource has to offer now, read from its record."""

from __future__ import annotations

from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewState, Published
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import Ports


def published(ref: Ref, ports: Ports) -> Published | None:
    """The version of a FeatureView that readers use, whatever identity it has."""
    return state_of(status_of(ports.state.load(ref)), FeatureViewState).published


def published_view(ref: Ref, identity: str, ports: Ports) -> Published | None:
    """The published version of a FeatureView, None unless it is the one of ``identity``."""
    found = published(ref, ports)
    return found if found is not None and found.identity == identity else None
