"""What a text with a Python traceback in it says, in one line: for a message that people read in a table. Pure.

Ray hands on the text of what went wrong, in layers: its own traceback around the text of the user's. The last exception
is the one that was raised, and the last frame that is neither Ray's nor a library's says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 500

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_ADDRESS = re.compile(r" ?\bat 0x[0-9a-fA-F]+")
_BEGINS = re.compile(r"Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?\s*$')
_MODULE = re.compile(r"^(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_]\w*(?::|$))")
_LIBRARY = re.compile(r"/site-packages/(?!framework/)|/lib/python3[^/]*/(?!site-packages/)|^<")
_REFUSAL = "WorkloadError: "
"""What our own workloads refuse on purpose; that says all that there is to say, its place included."""
_ROOTS = re.compile(r"^.*/(?:_ray_pkg_[0-9a-f]+|working_dir_files/[^/]+|site-packages)/|^.*/(?=framework/workloads/)")


def in_one_line(text: str) -> str:
    """``KeyError: 'x' (project/serving.py:12, in tidy)``; a text without a traceback as it is, but on one line. What
    differs from try to try, such as the address of an object, is left out, and so is the middle of a long text."""
    lines = _ADDRESS.sub("", _ANSI.sub("", text)).splitlines()
    begin = max((number for number, line in enumerate(lines) if _BEGINS.search(line)), default=-1)
    frames = [(number, match) for number, line in enumerate(lines) if number > begin and (match := _FRAME.match(line))]
    if not frames:
        return _short(lines)
    last, _ = frames[-1]
    raised = [line for line in lines[last + 1 :] if line.strip()]
    while raised and raised[0][:1].isspace():  # the line of code, and what points into it
        raised.pop(0)
    if not raised:  # the text breaks off
        raised = lines[max(begin, 0) : frames[0][0]]
    told = _MODULE.sub("", _short(raised))
    if told.startswith(_REFUSAL):
        return told.removeprefix(_REFUSAL)
    return f"{told} ({_place([match for _, match in frames])})"


def _place(frames: list[re.Match[str]]) -> str:
    theirs = [frame for frame in frames if not _LIBRARY.search(frame["file"])]
    frame = (theirs or frames)[-1]
    function = f", in {frame['function']}" if frame["function"] else ""
    return f"{_ROOTS.sub('', frame['file'])}:{frame['line']}{function}"


def _short(lines: Iterable[str]) -> str:
    text = " ".join(" ".join(lines).split())
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]} … {text[-half:]}"
