"""What a reader is given of a source, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import polars as pl

from framework import storage
from framework.api.nearest import did_you_mean
from framework.api.sources import FILE_FORMATS
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features.readers.files import File

_SHOWN = 3
"""Files that one message names."""


@dataclass(frozen=True)
class AskedSource:
    """A source of a spec. ``asked`` is what the spec says of it (JSON by alias); ``root`` is the project's folder;
    ``uri`` and ``files`` are what its ``path`` stands for, where it has one; ``declared`` the dtypes of the view's own
    columns, in a spec's words; ``upstream`` the published version {uri, version} of each FeatureView that is read;
    ``version`` the one of a Delta table, None for the newest."""

    name: str
    asked: Mapping[str, Any]
    root: str = ""
    uri: str = ""
    files: Sequence[File] = ()
    declared: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: int | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        return self.asked.get("options") or {}

    def error(self, reason: str, told: str, **data: Any) -> WorkloadError:
        """With the name of the source before what is told."""
        return WorkloadError(reason, f"source {self.name}: {told}", data=data)


@dataclass(frozen=True)
class KnownSource:
    """What is known of a source before a run: its columns, None where they are not, ``sure`` where their dtypes are
    right as well; and ``files`` from which that was read."""

    schema: pl.Schema | None
    sure: bool = False
    files: tuple[str, ...] = ()


UNKNOWN = KnownSource(None)


class Reader(ABC):
    """One kind of source. ``of_files``: its path stands for files, of which there must be some."""

    of_files: ClassVar[bool] = False

    @abstractmethod
    def scan(self, source: AskedSource) -> pl.LazyFrame:
        """Its rows.

        Raises:
            WorkloadError: naming the source, and the file where it is one.
        """

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        """What can be known of it before a run, without reading its rows. ``views`` are {name: [[column, dtype], ...]}
        of each FeatureView that is read, as declared.

        Raises:
            WorkloadError: as ``scan`` does.
        """
        return UNKNOWN

    def trouble(self, source: AskedSource) -> Iterator[str]:
        """What is wrong with its files, by name, for when rows could not be computed or are none: engines say what they
        choked on, but not where it was. Reads every file by itself."""
        yield from ()


class FileReader(Reader):
    """A format of files. All files of a source have the same columns, or it cannot be read."""

    of_files = True

    def scan(self, source: AskedSource) -> pl.LazyFrame:
        if not source.files:
            path = source.asked["path"]
            raise source.error("SourceMissing", storage.nothing_at(path), path=source.uri)
        return self.rows(source, source.files)

    @abstractmethod
    def rows(self, source: AskedSource, files: Sequence[File]) -> pl.LazyFrame:
        """Those of some of its files."""

    def trouble(self, source: AskedSource) -> Iterator[str]:
        found, known, rows = list[str](), dict[str, tuple[pl.DataType, File]](), 0
        for file in source.files:
            try:
                frame = self.rows(source, [file])
                counted = frame.select(pl.len().alias(""), pl.all().count().name.prefix("of "))
                counts = counted.collect().row(0, named=True)
            except WorkloadError as error:
                found.append(str(error))
                continue
            except Exception as error:
                found.append(f"source {source.name}: {file.label}: {first_line(error)}")
                continue
            rows += counts[""]
            for column, dtype in frame.collect_schema().items():
                other, where = known.setdefault(column, (dtype, file)) if counts[f"of {column}"] else (dtype, file)
                if other != dtype and not (other.is_numeric() and dtype.is_numeric()):
                    told = f"{column} is {dtype} in {file.label} and {other} in {where.label}"
                    found.append(f"source {source.name}: {told}")
        if not found and not rows:
            found.append(f"source {source.name}: there are no rows in {shown(source.files)}")
        yield from found


def shown(files: Sequence[File]) -> str:
    """``a.csv, b.csv, c.csv and 2 more``."""
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return f"{', '.join(file.label for file in files[:_SHOWN])}{more}"


def options_of(source: AskedSource) -> dict[str, Any]:
    """The options of a source of files in the words of the library that reads it.

    Raises:
        WorkloadError: "UnknownOption".
    """
    form = source.asked["format"]
    known = FILE_FORMATS[form].options
    for key in source.options:
        if key not in known:
            told = f"{form} has no option {key!r}{did_you_mean(key, known)} (allowed: {', '.join(known)})"
            raise source.error("UnknownOption", told)
    return {known[key].word: value for key, value in source.options.items()}
