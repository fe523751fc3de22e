"""Reads files for another process: ``python -m framework.specs.cache.worker module:attribute``, the kinds."""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module

from framework.ports import Blob
from framework.specs.cache import engine
from framework.specs.loader import read_row


def main() -> None:
    """Say which code we are, then answer chunk after chunk until there are no more."""
    outgoing, sys.stdout = sys.stdout.buffer, sys.stderr  # whoever prints is no answer
    module, _, attribute = sys.argv[1].partition(":")
    kinds = getattr(import_module(module), attribute)
    gc.freeze()
    gc.disable()  # nothing here lives longer than a chunk, and nothing refers to itself
    outgoing.write(f"{engine.name(kinds)}\n".encode("ascii"))
    outgoing.flush()
    for line in sys.stdin.buffer:
        for path, sha, text in json.loads(line):
            outgoing.write(read_row(Blob(path, sha), text.encode("latin-1"), kinds) + b"\n")
        outgoing.flush()


if __name__ == "__main__":
    main()
