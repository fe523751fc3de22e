"""What files of sources have come, changed or gone, in a few words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from framework.api.printing import amount
from framework.ports import FileList, SourceFile


def difference(before: Mapping[str, FileList], now: Mapping[str, Sequence[SourceFile]]) -> str:
    """``3 new files, 12 MB; 1 changed, 4 kB; 2 gone``: by the names of files and what they hold. One that has another
    name only is none of these; empty where nothing differs."""
    new, changed, gone = list[SourceFile](), list[SourceFile](), 0
    for source in sorted({*before, *now}):
        old, files = before.get(source, FileList()), now.get(source, ())
        if any(file.digest.startswith("query:") for file in (*old.files, *files)):
            continue  # rows of a database are no files
        if not old.whole:
            return f"{described(files)}, and before {counted(old.count, old.size)}"
        known, names = {file.label: file.digest for file in old.files}, {file.label for file in files}
        changed += [file for file in files if known.get(file.label, file.digest) != file.digest]
        came = [file for file in files if file.label not in known]
        left = [digest for label, digest in known.items() if label not in names]
        for file in came:
            if file.digest in left:
                left.remove(file.digest)
            else:
                new.append(file)
        gone += len(left)
    parts = [f"{len(new)} new {'file' if len(new) == 1 else 'files'}{_size(new)}"] if new else []
    parts += [f"{len(changed)} changed{_size(changed)}"] if changed else []
    return "; ".join([*parts, *([f"{gone} gone"] if gone else [])])


def described(files: Sequence[SourceFile]) -> str:
    """``2 files, 12 MB``."""
    return counted(len(files), _sum(files))


def counted(count: int, size: int | None) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}{'' if size is None else f', {amount(size)}'}"


def _size(files: Sequence[SourceFile]) -> str:
    size = _sum(files)
    return "" if size is None else f", {amount(size)}"


def _sum(files: Iterable[SourceFile]) -> int | None:
    sizes = [file.size for file in files]
    return None if None in sizes else sum(size or 0 for size in sizes)
