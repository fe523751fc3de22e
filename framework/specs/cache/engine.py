"""Names the code that reads specs, so that what another version found is not taken for what this one would find."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pydantic
import yaml

import framework
from framework.planning.grammar.kind import Kind
from framework.specs.cache import rows

_DECIDE = ("api", "kinds", "planning", "probability.py", "rollout", "specs")
"""Parts of the package on which it depends what a spec means or how a mistake is told."""


def name(kinds: Mapping[str, Kind]) -> str:
    """32 hex characters over this code, what it is built on, and the kinds it reads."""
    models = [(key, kind.spec.__module__, kind.spec.__qualname__, kind.workload_version) for key, kind in kinds.items()]
    return _hash(_code(), *sorted(" ".join(model) for model in models))


@lru_cache(maxsize=1)
def _code() -> str:
    root = Path(framework.__file__).parent
    parts = [root / part for part in _DECIDE]
    files = sorted(path for part in parts for path in ([part] if part.suffix else part.rglob("*.py")))
    contents = [f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    versions = (framework.__version__, platform.python_version(), pydantic.VERSION, yaml.__version__, str(rows.FORM))
    return _hash(*versions, *contents)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
