"""How chance is dealt with: the suite draws the same examples each time, ``make fuzz`` draws others."""

from __future__ import annotations

from hypothesis import settings

from tests.fuzzing import FUZZING

settings.register_profile("suite", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
settings.load_profile("fuzz" if FUZZING else "suite")
