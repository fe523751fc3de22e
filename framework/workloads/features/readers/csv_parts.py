"""The CSV files that files are or hold, as text that Polars reads: unpacked, and in UTF-8."""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TextIO

import polars as pl

from framework import storage
from framework.api.sources import ENCODINGS
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features.readers.files import HEAD, File

_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_COMPRESSED = (*_PACKED, b"\x78\x01", b"\x78\x9c", b"\x78\xda")
"""How gzip, zstd and zlib begin, which Polars opens itself."""


@dataclass(frozen=True)
class CsvFile:
    """One CSV file: ``label`` is how a user knows it, ``data`` its URI, or its bytes where Polars cannot open it."""

    label: str
    data: str | bytes

    def scan(self, options: Mapping[str, Any]) -> pl.LazyFrame:
        return pl.scan_csv(io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data, glob=False, **options)

    @contextmanager
    def opened(self) -> Iterator[TextIO]:
        """Its text, unpacked; what is no UTF-8 in it becomes a sign that stands for that."""
        held: Any = io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.removeprefix("file://")
        if isinstance(held, str) and not storage.is_local(held):
            held = io.BytesIO(storage.read_bytes(held) or b"")
        with _unpacked(held) as stream, io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="") as text:
            yield text


def parts_of(name: str, files: Sequence[File], encoding: str) -> list[CsvFile]:
    """The CSV files that ``files`` are or hold: a zip may hold several.

    Raises:
        WorkloadError: "SourceUnreadable", naming the file, for what is no CSV file or has another encoding.
    """
    codec, found = ENCODINGS[encoding], list[CsvFile]()
    for file in files:
        if file.uri.endswith(".zip"):
            found += [_part(name, f"{file.label}:{member}", data, codec) for member, data in _members(name, file)]
        elif codec is None and file.native:
            head = file.head()
            file.recognise(name, head)
            _refuse_utf16(name, file.label, head)
            found.append(CsvFile(file.label, file.uri))
        else:
            found.append(_part(name, file.label, file.read(name), codec))
    return found


def _unpacked(held: Any) -> Any:
    """A stream of what a path, or bytes, hold: of what gzip or zstd packed, as it was before."""
    import pyarrow

    with open(held, "rb") if isinstance(held, str) else nullcontext(held) as begins:
        head = begins.read(HEAD)
    if not isinstance(held, str):
        held.seek(0)
    packed = next((name for mark, name in _PACKED.items() if head.startswith(mark)), None)
    return pyarrow.input_stream(held, compression=packed)


def _members(name: str, file: File) -> list[tuple[str, bytes]]:
    """The CSV files inside a zip, in the order of their names."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.read(name))) as archive:
            names = sorted(item for item in archive.namelist() if item.endswith(".csv") and "__MACOSX" not in item)
            if not names:
                raise WorkloadError("SourceUnreadable", f"source {name}: {file.label} holds no .csv file")
            return [(item, archive.read(item)) for item in names]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        told = f"source {name}: {file.label} is not a zip file that can be read: {first_line(error)}"
        raise WorkloadError("SourceUnreadable", told) from error


def _part(name: str, label: str, data: bytes, codec: str | None) -> CsvFile:
    if codec is None:
        _refuse_utf16(name, label, data[:HEAD])
        return CsvFile(label, data)
    try:
        return CsvFile(label, _unpacked(io.BytesIO(data)).read().decode(codec).encode())
    except UnicodeDecodeError as error:
        raise WorkloadError("SourceUnreadable", f"source {name}: {label} is not {codec}: {error.reason}") from error
    except OSError as error:
        raise WorkloadError("SourceUnreadable", f"source {name}: {label} is damaged: {first_line(error)}") from error


def _refuse_utf16(name: str, label: str, head: bytes) -> None:
    """Half of what UTF-16 makes of plain text is zeros; what is compressed has some as well, and says what it is."""
    if head.startswith(_COMPRESSED):
        return
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head.count(0) * 3 > len(head):
        told = f"source {name}: {label} looks like UTF-16: say options: {{encoding: utf16}}"
        raise WorkloadError("SourceUnreadable", told)
