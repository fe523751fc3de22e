"""How chance is dealt with: the suite draws the same examples each time, ``make fuzz`` draws others."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.fuzzing import FUZZING

# How long it takes to make an example depends on who else uses the machine, and says nothing about what is tried.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", derandomize=True, **UNTIMED)
settings.register_profile("fuzz", print_blob=True, **UNTIMED)
settings.load_profile("fuzz" if FUZZING else "suite")
