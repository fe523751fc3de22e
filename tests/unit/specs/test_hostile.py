"""Files made to hurt: a clear error soon, no crash, bounded memory."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc

import pytest

from framework.kinds import KINDS
from framework.ports import Blob
from framework.specs.loader import load_file

LEVELS = 100_000
SECONDS = 5.0
"""Of CPU; a generous multiple of what is promised (1 s), so that a busy machine does not fail the test."""
MEBIBYTES = 100


def bomb(kind: str) -> bytes:
    """Aliases that double, or multiply by nine, at each of 30 levels."""
    lines = ["a0: &a0 {x: 1}" if kind == "merge" else "a0: &a0 [x]"]
    for level in range(1, 30):
        below = f"*a{level - 1}"
        body = f"{{<<: [{', '.join([below] * 9)}]}}" if kind == "merge" else f"[{below}, {below}]"
        lines.append(f"a{level}: &a{level} {body}")
    return "\n".join(lines).encode()


CORPUS = {
    "brackets": b"[" * LEVELS,
    "closed brackets": b"[" * LEVELS + b"]" * LEVELS,
    "braces": b"{a: " * LEVELS,
    "dashes": b"- " * LEVELS,
    "question marks": b"? " * LEVELS,
    "brackets as keys": b"{[" * LEVELS,
    "indented": b"".join(b" " * level + b"a:\n" for level in range(1400)),
    "doubling aliases": bomb("list"),
    "merge keys": bomb("merge"),
    "many aliases": b"a: &a 1\nb: [" + b"*a, " * 200_000 + b"]",
    "large": b"a: 1\n" * 1_000_000,
    "100 MB of one line": b"a" * 100_000_000,
    "large after a comment": b"#" * ((1 << 20) + 1),
    "many documents": b"---\n" * 200_000,
    "many keys": b"".join(b"k%d: 1\n" % number for number in range(90_000)),
    "many anchors": b"".join(b"- &a%d 1\n" % number for number in range(80_000)),
    "one long key": b"a" * 1_000_000 + b": 1",
    "one long number": b"a: " + b"9" * 1_000_000,
    "one long tag": b"a: !<" + b"x" * 1_000_000 + b"> 1",
    "nul bytes": b"\0" * 1_000_000,
    "invalid UTF-8": b"a: \xc3\x28\n" * 100_000,
    "unclosed quote": b"a: '" + b"x\n" * 400_000,
    "unclosed quotes": b'- "\n' * 200_000,
    "mistakes": b"- yes\n" * 150_000,
    "colons": b":" * 1_000_000,
    "stars": b"*" * 1_000_000,
    "spaces and a tab": b" " * 1_000_000 + b"\t- a",
}
BOUNDS = {
    **dict.fromkeys(("brackets", "braces", "dashes"), "nested more than 64 levels deep"),
    "doubling aliases": "more than 50,000 values in one file, aliases expanded",
    "many aliases": "more than 100 aliases",
    **dict.fromkeys(("large", "100 MB of one line"), "larger than 1 MiB"),
}
"""What the error says of the bound that is passed."""


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_text_gets_a_clear_error_soon(name: str) -> None:
    data = CORPUS[name]
    started = time.process_time()
    loaded = load_file(Blob("bad.yaml", "0"), data, KINDS)
    seconds = time.process_time() - started

    assert loaded.problems
    assert all(problem.message and problem.file == "bad.yaml" for problem in loaded.problems)
    assert any(BOUNDS.get(name, "") in problem.message for problem in loaded.problems)
    assert max(len(str(problem)) for problem in loaded.problems) < 500  # a terminal can show it
    assert len(loaded.problems) <= 200
    assert not loaded.drafts
    assert seconds < SECONDS, f"{seconds:.2f} s"


@pytest.mark.parametrize("name", [name for name in CORPUS if not name.startswith(("large", "100 MB"))])
def test_hostile_text_takes_bounded_memory(name: str) -> None:
    tracemalloc.start()
    try:
        load_file(Blob("bad.yaml", "0"), CORPUS[name], KINDS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < MEBIBYTES << 20


def test_a_parser_that_crashed_would_be_seen() -> None:
    """The C parser has crashed on deep nesting: in a process of its own, an exit by a signal is told apart."""
    code = (
        "from framework.specs.yaml.positions import parse\n"
        f"for text in (b'[', b'{{a: ', b'- '):\n    assert parse('a', text * {LEVELS}).broken\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr
