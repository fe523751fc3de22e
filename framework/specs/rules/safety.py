"""What is understood and may not take effect all the same: secrets in specs, and places that are not mlopsctl's.

Apart from validity, because an older commit that has such things must still be read: to say what differs from it, and
to go on with it while it is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from framework.api.credentials import credential_in
from framework.api.errors import Problem
from framework.api.places import Premises, data_named, refusal
from framework.api.secret_names import named_secret
from framework.planning.grammar.kind import Kind
from framework.specs.language import words
from framework.specs.language.explain import Finding
from framework.specs.language.resource import Resource
from framework.specs.yaml import paths
from framework.specs.yaml.paths import Path

_TAKE_OUT = "take it out, and have it replaced: whoever can read the repository knows it"


def secrets(document: Mapping[str, Any], kind: Kind) -> Iterator[Finding]:
    """What looks like a credential, wherever it stands in the metadata or the spec of an object."""
    for part in ("metadata", "spec"):
        for path, value, key in _texts(document.get(part), (part,)):
            what = credential_in(value)
            if what is None and not key and path[0] == "spec" and _hidden(path, value) and _free(kind.spec, path):
                what = "a value whose name says that it is secret"
            if what is not None:
                yield Finding(path, f"holds {what}; {_instead(path, kind)}", at_key=key, secret=True)


def exposed(spec: BaseModel, kind: Kind) -> Iterator[Finding]:
    """The same of what only its kind knows to be secret."""
    for found in kind.exposed(spec):
        yield Finding(paths.parse(found.path), found.message, secret=True)


def misplaced(resources: Iterable[Resource], premises: Premises) -> Iterator[Problem]:
    """Places outside of ``premises``, in folders of code that any of the resources names, and at data that it reads."""
    together = list(resources)
    code = {name.partition(":")[0].partition(".")[0] for resource in together for name in resource.facts.names}
    data = data_named(place for resource in together for place in resource.facts.places)
    held = premises._replace(code=premises.code | code, data=data)
    for resource in together:
        for place in resource.facts.places:
            why = refusal(place, held)
            if why is not None:
                yield resource.problem(place.path, why)


def _texts(value: Any, at: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every text below ``value`` with its path, and whether it is a key."""
    if isinstance(value, str):
        yield at, value, False
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield (*at, key), key, True
            yield from _texts(below, (*at, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _texts(below, (*at, index))


def _free(model: type[BaseModel], path: Path) -> bool:
    """Whether the language leaves open what stands there: elsewhere a name such as ``token`` may be a column."""
    return words.describe(words.at(model, path[1:])) == "a value"


def _hidden(path: Path, value: str) -> bool:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return bool(value) and named_secret(name)


def _instead(path: Path, kind: Kind) -> str:
    inside = paths.render(part for part in path if isinstance(part, str))
    return next((way for place, way in kind.secret_from.items() if inside.startswith(place)), _TAKE_OUT)
