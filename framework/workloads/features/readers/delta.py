"""Delta tables that somebody else writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from framework.workloads.features.readers.reader import AskedSource, KnownSource, Reader, options_of


class Delta(Reader):
    def scan(self, source: AskedSource) -> pl.LazyFrame:
        return pl.scan_delta(source.uri, **options_of(source))

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        return KnownSource(self.scan(source).collect_schema(), sure=True)
