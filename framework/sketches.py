"""The one way to load whylogs, for those who write profiles and those who read them.

A plain ``import whylogs`` sends usage statistics and loads scikit-learn and SciPy for metrics nobody here uses: 1.7 CPU
seconds with compiled bytecode and about 8 without, against 0.4 this way.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from functools import cache
from types import ModuleType

_OPTIONAL = ("scipy", "sklearn")
LOADING = threading.Lock()
"""Held while whylogs is loaded: whoever loads one of the two meanwhile would not find it."""


@cache
def load_whylogs() -> ModuleType:
    """whylogs without its telemetry and without the two heavy packages that it treats as optional.

    Call it before threads start that may import either package without ``LOADING``: while whylogs loads, both look as
    if they were not installed. What the process had loaded already stays loaded, and afterwards both import as ever.

    Raises:
        ImportError: the ``profiling`` extra is not installed.
    """
    os.environ["WHYLOGS_NO_ANALYTICS"] = "1"
    with LOADING:
        hidden = [name for name in _OPTIONAL if name not in sys.modules]
        try:
            for name in hidden:
                sys.modules[name] = None  # type: ignore[assignment]  # the import system's own mark for "absent"
            return importlib.import_module("whylogs")
        finally:
            for name in hidden:
                sys.modules.pop(name, None)
