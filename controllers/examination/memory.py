"""What was answered before. Safe to delete at any time; whatever is wrong with it, the libraries are asked again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from controllers.examination.trees import Tree
from framework import storage
from framework.api.meta import Ref
from framework.planning.grammar.fingerprint import short_hash
from framework.specs.language.resource import Resource

FILE = "examined.json"
_MOST = 20_000
_MANY = 100
"""Objects of a project, for which it is worth to make a folder whatever command is run."""


Answer = Sequence[Mapping[str, Any]]
"""The mistakes found, each as the libraries' process tells it."""


class Seen(NamedTuple):
    """What an answer rests on: the library's version, the views above by name and key, and files by path and mark."""

    library: str
    views: Mapping[str, str]
    files: Mapping[str, str]


class Memory:
    """What is kept between processes.

    Args:
        folder: where; None: nowhere.
        makes: also where the folder that it is in is not there yet.
    """

    def __init__(self, folder: Path | None = None, *, makes: bool = False) -> None:
        self._file, self._makes = None if folder is None else folder / FILE, makes
        self._answers: dict[str, tuple[Seen, Answer]] | None = None
        self._news = False

    def answer(self, resource: Resource, everything: Mapping[Ref, Resource], tree: Tree, library: str) -> Answer | None:
        """The answer about a resource, where all that it rests on is as it was."""
        seen, answer = self._known.get(_name(resource), (None, None))
        if seen is None or seen.library != library:
            return None
        above = ((everything.get(Ref("FeatureView", name)), key) for name, key in seen.views.items())
        same = all(found is not None and found.key == key for found, key in above)
        return answer if same and all(tree.mark(path) == mark for path, mark in seen.files.items()) else None

    def files(self, resource: Resource) -> Collection[str]:
        """What the answer about a resource rests on, besides specs."""
        seen, _ = self._known.get(_name(resource), (None, None))
        return () if seen is None else seen.files.keys()

    def keep(self, resource: Resource, seen: Seen, answer: Answer) -> None:
        self._known.pop(_name(resource), None)
        self._known[_name(resource)] = seen, answer
        self._news = True

    def save(self, objects: int) -> None:
        """Of a project with so many. The oldest go where there are too many."""
        if self._news and self._file is not None:
            kept = dict(list(self._known.items())[-_MOST:])
            with suppress(OSError):
                storage.make_cache(self._file.parent, parents=self._makes or objects >= _MANY)
                storage.write_sealed(str(self._file), kept)
        self._news = False

    @property
    def _known(self) -> dict[str, tuple[Seen, Answer]]:
        if self._answers is None:
            self._answers = self._read()
        return self._answers

    def _read(self) -> dict[str, tuple[Seen, Answer]]:
        if self._file is None:
            return {}
        try:
            found = storage.read_json(str(self._file)) or {}
            return {name: (Seen(*seen), answer) for name, (seen, answer) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def _name(resource: Resource) -> str:
    """An answer about a TrainingJob rests on no more than the question, which many share."""
    if resource.ref.kind == "TrainingJob":
        return f"TrainingJob {short_hash(training_question(resource.raw['spec']))}"
    return f"{resource.ref} {resource.key}"


def training_question(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a TrainingJob's spec scikit-learn or LightGBM is asked about; empty where it is no matter of theirs."""
    trainer, search = spec["trainer"], (spec.get("tune") or {}).get("search")
    if trainer.get("sklearn"):
        return {"trainer": {"sklearn": trainer["sklearn"]}, "tune": {"search": search}}
    params = (trainer.get("lightgbm") or {}).get("params")
    if trainer.get("lightgbm") and (params or search):
        return {"trainer": {"lightgbm": {"params": params}}, "tune": {"search": search}}
    return {}
