"""How chance is dealt with: the suite draws the same examples each time, ``make fuzz`` draws others. And where caches
lie: nowhere but in folders of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzzing import FUZZING

# How long it takes to make an example depends on who else uses the machine, and says nothing about what is tried.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", derandomize=True, **UNTIMED)
settings.register_profile("fuzz", print_blob=True, **UNTIMED)
settings.load_profile("fuzz" if FUZZING else "suite")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between processes is kept from whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield
