"""A new project: specs, code, data and workflows that run as they are.

What it consists of lies as it is in ``project/`` beside this module and travels with the package. In it ``__NAME__``
stands for the project, ``__PACKAGE__`` for its Python package, ``__MLOPSCTL__`` for what pip installs mlopsctl from;
``dot_`` at the start of a name for a dot, and the folder ``package`` for the package's.
"""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import PurePosixPath

from controllers.scaffold.deliveries import csv_text
from framework.api.meta import MAX_NAME_LENGTH, NAME_PATTERN
from framework.installed import requirement
from framework.planning.grammar.kind import Kind
from framework.specs.language import schema

TEMPLATE = "project"
SCHEMAS = "schemas"
"""Folder of the JSON Schemas in a project, as ``mlopsctl schema --output-dir`` writes them; the first line of each spec
names one."""

WORKFLOWS = ("validate", "plan", "plan-comment", "preview", "reconcile", "drift")

_OURS = ("controllers", "framework")
_IGNORED = "__pycache__"


def template() -> Mapping[str, str]:
    """Text by path, as it lies in the package."""
    return dict(sorted(_walk(files(__name__).joinpath(TEMPLATE), PurePosixPath())))


def project(name: str, source: str, kinds: Mapping[str, Kind]) -> Mapping[str, str]:
    """Text by path of a whole new project, in the order of paths.

    Args:
        name: a name for which ``problem_with`` finds nothing.
        source: of the mlopsctl that the project is pinned to: a version, or an address as pip takes it.
    """
    package = package_of(name)
    found = {
        _place(path, package): _filled(text, name, package, requirement(source), path)
        for path, text in template().items()
    }
    found["data/deliveries.csv"] = csv_text()
    found |= {f"{SCHEMAS}/{file}": text for file, text in schema.files(kinds).items()}
    return dict(sorted(found.items()))


def package_of(name: str) -> str:
    """The Python package of a project: ``late-parcels`` -> ``late_parcels``."""
    return name.replace("-", "_")


def name_from(folder: str) -> str:
    """A project's name made from its folder's: ``My Parcels`` -> ``my-parcels``; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:MAX_NAME_LENGTH].strip("-")


def problem_with(name: str) -> str | None:
    """Why a project cannot have this name, in words that follow the name; None where it can."""
    package = package_of(name)
    if re.fullmatch(NAME_PATTERN, name) is None or len(name) > MAX_NAME_LENGTH:
        return f"must be lower-case letters, digits and dashes, at most {MAX_NAME_LENGTH}, such as late-parcels"
    if not package.isidentifier() or keyword.iskeyword(package):
        return f"makes no Python package: {package!r} cannot be imported"
    if package in {*sys.stdlib_module_names, *_OURS, "mlops_specs", SCHEMAS, "data", "tools"} or _installed(package):
        return f"is taken: the project's Python package {package!r} would hide another one"
    return None


def _installed(package: str) -> bool:
    """Whether an installed package has the name; a mere folder of that name on the path has no origin."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[str, str]]:
    for item in folder.iterdir():
        if item.is_dir() and item.name != _IGNORED:
            yield from _walk(item, path / item.name)
        elif item.is_file():
            yield str(path / item.name), item.read_text(encoding="utf-8")


def _place(path: str, package: str) -> str:
    parts = [f".{part[4:]}" if part.startswith("dot_") else part for part in PurePosixPath(path).parts]
    return "/".join([package if parts[0] == "package" else parts[0], *parts[1:]])


def _filled(text: str, name: str, package: str, pin: str, path: str) -> str:
    to_schemas = "/".join([*[".."] * (len(PurePosixPath(path).parts) - 1), SCHEMAS])
    values = {"__NAME__": name, "__PACKAGE__": package, "__MLOPSCTL__": pin, "__SCHEMAS__": to_schemas}
    for token, value in values.items():
        text = text.replace(token, value)
    return text
