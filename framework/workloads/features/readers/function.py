"""A function of the user's own that returns a LazyFrame. What it gives is not known before it runs."""

from __future__ import annotations

import polars as pl

from framework.workloads.entrypoints import call
from framework.workloads.features.readers.reader import AskedSource, Reader


class FunctionReader(Reader):
    def scan(self, source: AskedSource) -> pl.LazyFrame:
        return call(source.asked["function"])
