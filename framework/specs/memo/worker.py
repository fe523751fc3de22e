"""Reads files for another process: ``python -m framework.specs.memo.worker module:attribute``, the kinds."""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module

from framework.ports import Blob
from framework.specs.loader import read_row
from framework.specs.memo import engine
from framework.specs.memo.parallel import receive, send


def main() -> None:
    """Say which code we are, then answer chunk after chunk until there are no more."""
    module, _, attribute = sys.argv[1].partition(":")
    kinds = getattr(import_module(module), attribute)
    gc.freeze()
    gc.disable()  # nothing here lives longer than a chunk, and nothing refers to itself
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    outgoing.write(f"{engine.name(kinds)}\n".encode("ascii"))
    outgoing.flush()
    while chunk := receive(incoming):
        send(outgoing, [(name, read_row(Blob(*json.loads(name)), data, kinds)) for name, data in chunk])


if __name__ == "__main__":
    main()
