"""Delta tables that somebody else writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from framework.workloads.failures import first_line
from framework.workloads.features.readers.reader import AskedSource, KnownSource, Reader, options_of


class DeltaReader(Reader):
    def scan(self, source: AskedSource) -> pl.LazyFrame:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        options = {**options_of(source), **({} if source.version is None else {"version": source.version})}
        try:
            return pl.scan_delta(DeltaTable(source.uri, **options))
        except TableNotFoundError as error:
            raise source.error("SourceMissing", f"no Delta table at {source.asked['path']}") from error
        except DeltaError as error:
            told = f"the Delta table at {source.asked['path']} cannot be read: {first_line(error)}"
            raise source.error("SourceUnreadable", told) from error

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        return KnownSource(self.scan(source).collect_schema(), sure=True)
