"""Arrow IPC: files, and streams of batches, which are told by how they begin."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from framework.workloads.failures import first_line
from framework.workloads.features.readers.batches import lazily, of_arrow
from framework.workloads.features.readers.files import File
from framework.workloads.features.readers.reader import AskedSource, FileReader, KnownSource

_FILE = b"ARROW1"


class ArrowReader(FileReader):
    def rows(self, source: AskedSource, files: Sequence[File]) -> pl.LazyFrame:
        frames = [_frame(source, file) for file in files]
        first = frames[0].collect_schema()
        for file, frame in zip(files, frames, strict=True):
            odd = sorted(set(first.items()) ^ set(frame.collect_schema().items()), key=str)
            if odd:
                has = " and ".join(
                    f"{'no ' if name in first and first[name] == dtype else ''}{name} as {dtype}" for name, dtype in odd
                )
                raise source.error("MissingColumn", f"{file.label} has {has}, other than {files[0].label}")
        return pl.concat([frame.select(list(first)) for frame in frames])

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        first = source.files[0]
        return KnownSource(_frame(source, first).collect_schema(), True, (first.label,))


def _frame(source: AskedSource, file: File) -> pl.LazyFrame:
    head = file.head()
    file.recognise(source.name, head)
    try:
        if not head.startswith(_FILE):
            return lazily(_Stream(file, source.name).schema(), _Stream(file, source.name).batches)
        held: Any = file.uri if file.native else io.BytesIO(file.read(source.name))
        frame = pl.scan_ipc(held, glob=False)
        frame.collect_schema()
        return frame
    except (pl.exceptions.PolarsError, ValueError, OSError) as error:
        told = f"{file.label} is neither a file nor a stream of Arrow IPC: {first_line(error)}"
        raise source.error("SourceUnreadable", told) from error


class _Stream:
    """The batches of one, read one after the other."""

    def __init__(self, file: File, source: str) -> None:
        self._file, self._source = file, source

    def schema(self) -> pl.Schema:
        with self._opened() as reader:
            return of_arrow(reader.schema.empty_table()).schema

    def batches(self) -> Iterator[pl.DataFrame]:
        with self._opened() as reader:
            for batch in reader:
                yield of_arrow(batch)

    def _opened(self) -> Any:
        import pyarrow

        local = self._file.path
        data = pyarrow.memory_map(local) if local else pyarrow.BufferReader(self._file.read(self._source))
        return pyarrow.ipc.open_stream(data)
