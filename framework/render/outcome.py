"""How one pass ended, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from framework.api.meta import Ref
from framework.planning.reports.convergence import Conclusion, EnvironmentHealth
from framework.render.terminal import LONGEST_MESSAGE, one_line


@dataclass(frozen=True)
class PassResult:
    """How a pass ended. ``calls`` are the calls that changed anything, by action."""

    word: Conclusion
    environment: str
    commit: str
    seconds: float
    health: EnvironmentHealth
    looks: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    reasons: tuple[tuple[Ref, str], ...] = ()
    followed: bool = False
    """Another process did the work, so its calls are not counted here."""
    note: str = ""
    """Why the newest commit is not what is in force, where nothing is wrong with it; or why it cannot be said that all
    is as git asks."""
    taken_up: bool = True
    """Whether whoever does the work knows of the newest commit."""

    def document(self) -> dict[str, object]:
        return {
            "format": 1,
            "outcome": self.word.value,
            "environment": self.environment,
            "commit": self.commit,
            "seconds": round(self.seconds, 3),
            "looks": self.looks,
            "followed": self.followed,
            "taken_up": self.taken_up,
            "note": self.note,
            "changing_calls": dict(sorted(self.calls.items())),
            "resources": {motion.value: [str(ref) for ref in refs] for motion, refs in self.health.items()},
            "reasons": {str(ref): message for ref, message in self.reasons},
        }

    def json(self) -> str:
        return json.dumps(self.document(), indent=2)

    def text(self) -> str:
        """A sentence for each thing that is not as git asks, and one that sums up."""
        lines = [f"{ref!s:34}  {one_line(message, LONGEST_MESSAGE)}" for ref, message in self.reasons]
        return "\n".join([*lines, *([self.note] if self.note else []), self._summary()])

    def _summary(self) -> str:
        if not self.commit:
            return f"{self.word.value}: no commit is in force yet, and nothing was changed."
        commit, total = self.commit[:7], self.calls.total()
        if self.word is Conclusion.CONVERGED and total == 0 and not self.followed:
            count = len(self.health.ready)
            seen = f"{self.looks} looks, 0 changing calls, {self.seconds:.1f} s"
            return f"Nothing to do: {count} resources match commit {commit} ({seen})."
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.calls.items())) or (
            "those of the controller that was followed" if self.followed else "none"
        )
        counts = ", ".join(f"{len(refs)} {motion}" for motion, refs in self.health.items() if refs)
        return f"{self.word.value} at commit {commit} in {self.seconds:.1f} s: {counts}; changing calls: {done}."
