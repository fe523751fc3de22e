"""What a FeatureView leaves behind: a table of each identity."""

from __future__ import annotations

from typing import Any

from controllers.kinds.observer import Specs
from framework.api import layout
from framework.api.categories import Category
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired
from framework.ports import Ports


def left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    table = ports.tables.describe(layout.feature_table(ports.storage, asked.ref.name, asked.recipe))
    if table is None:
        return Kept(False, "its table is gone: it is computed again", Category.MATERIALIZE)
    return Kept(True, f"table of build {table.name}, version {table.version}, {table.rows:,} rows")
