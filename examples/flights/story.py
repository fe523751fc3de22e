"""The commits of the demo: what changes in ``mlops_specs`` from one to the next."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "commits"


@dataclass(frozen=True)
class Commit:
    """``folder`` holds the files that the commit replaces, at their paths below ``mlops_specs``."""

    folder: str
    message: str

    def apply(self, specs: Path) -> list[Path]:
        """Write the commit's files over those in ``specs``; returns what was written, to be committed by the caller."""
        source = _FOLDER / self.folder
        written = []
        for path in sorted(source.rglob("*.yaml")):
            target = specs / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            written.append(target)
        return written


BETTER_MODEL = Commit("1-weather-and-delays", "Train boosted trees on weather and carrier delays")
"""A better model: passes its gates, beats the live one on the same flights, and is promoted."""

BROKEN_CANDIDATE = Commit("2-plane-age", "Add the plane's age to every request")
"""A transformer that raises for one plane in six: its canary fails, and callers notice nothing."""
