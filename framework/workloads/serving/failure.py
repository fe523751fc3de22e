"""What is remembered of how a version failed: exception, one line, place. Nothing of the request that it failed on."""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

LONGEST = 200
"""Characters of the message."""

_LOOKED_AT = 1000
"""Characters of a message, and values of a request, that are compared with each other."""

_OURS = f"{Path(__file__).parents[2]}/"
_LIBRARIES = tuple(
    f"{Path(sysconfig.get_path(name)).absolute()}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def told(error: BaseException, rows: Sequence[Mapping[str, Any]] = ()) -> dict[str, str]:
    """``{"type", "message", "where"}`` as the router counts it. Values of ``rows`` that the message repeats give way to
    the names of their fields: it ends up in events, and what callers send is nobody's business there."""
    line = str(error).strip().partition("\n")[0][:_LOOKED_AT]
    return {"type": type(error).__name__, "message": _redacted(line, rows)[:LONGEST], "where": place(error)}


def place(error: BaseException) -> str:
    """``serving.py:12, in tidy``: the deepest frame in user code, or in a library where there is none; empty for an
    error that this project raised itself."""
    found = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in found if not str(Path(frame.filename).absolute()).startswith(_OURS)]
    own = [frame for frame in theirs if not str(Path(frame.filename).absolute()).startswith(_LIBRARIES)]
    if not theirs:
        return ""
    frames = own or theirs
    names = (frame.name for frame in reversed(frames) if not frame.name.startswith("<"))  # a comprehension has none
    return f"{_short(frames[-1].filename)}:{frames[-1].lineno}, in {next(names, frames[-1].name)}"


def _short(file: str) -> str:
    """A file as its package has it, wherever the code was unpacked."""
    folders = [f"{Path(folder).absolute()}/" for folder in sys.path]
    beneath = [file.removeprefix(folder) for folder in folders if file.startswith(folder)]
    return min(beneath, key=len, default=Path(file).name)


def _redacted(text: str, rows: Sequence[Mapping[str, Any]]) -> str:
    for name, value in islice(_scalars(rows), _LOOKED_AT):
        for form in _forms(value):
            if form in text:
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", f"<{name}>".replace("\\", r"\\"), text)
    return text


def _scalars(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Values with the fields that they are in; those inside of lists and objects count as the field's."""
    waiting = deque(islice(((str(name), value) for row in rows for name, value in row.items()), _LOOKED_AT))
    while waiting:
        name, value = waiting.popleft()
        if isinstance(value, Mapping):
            waiting.extend((name, item) for item in value.values())
        elif isinstance(value, list):
            waiting.extend((name, item) for item in value)
        else:
            yield name, value


def _forms(value: Any) -> tuple[str, ...]:
    """How a message may repeat a value. A short word without quotes could be anybody's."""
    if isinstance(value, str):
        return tuple(form for form in (repr(value), f'"{value}"', value if len(value) > 3 else "") if form)
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = str(value)[:_LOOKED_AT] if not isinstance(value, int) or abs(value) < 10**20 else ""
        return (shown,) if len(shown) > 1 else ()
    return ()
