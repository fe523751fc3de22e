"""One embedded Ray for the whole test session. Use it with ``pytest_plugins = ["tests.ray_cluster"]`` in a test module.

It ends with the session, and also when pytest is killed: the daemon watches the process that started it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.rest import RayRest


@pytest.fixture(scope="session")
def embedded_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRay]:
    """Running, with more logical CPUs than there are cores: the tests' apps do little."""
    daemon = EmbeddedRay(tmp_path_factory.mktemp("ray"), cpus=16, gpus=0, dashboard_port=0, serve_port=0)
    daemon.start(keeper=os.getpid())
    yield daemon
    daemon.stop()
    assert daemon.processes() == []


@pytest.fixture(scope="session")
def ray_rest(embedded_ray: EmbeddedRay) -> Iterator[RayRest]:
    rest = RayRest(embedded_ray.running)
    yield rest
    rest.close()
