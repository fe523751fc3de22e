"""Another FeatureView, at its published version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from framework.workloads.features.dtypes import DTYPES
from framework.workloads.features.readers.reader import UNKNOWN, AskedSource, KnownSource, Reader
from framework.workloads.missing import nan_as_null


class ViewReader(Reader):
    def scan(self, source: AskedSource) -> pl.LazyFrame:
        name = source.asked["featureView"]
        pinned = source.upstream.get(name)
        if pinned is None:
            raise source.error("UpstreamMissing", f"the view {name} is not published")
        return nan_as_null(pl.scan_delta(pinned["uri"], version=int(pinned["version"])))

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        columns = views.get(source.asked["featureView"])
        if columns is None:
            return UNKNOWN
        return KnownSource(pl.Schema({column: DTYPES[word] for column, word in columns}), sure=True)
