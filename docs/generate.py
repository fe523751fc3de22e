"""Write the field tables of docs/kinds and docs/specs.md from the models that validate specs.

    python docs/generate.py            write them
    python docs/generate.py --check    exit with 1 where a page is behind

Everything else on those pages is written by hand; only what stands between the two markers is replaced.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framework.api.categories import Category, category_of
from framework.api.fields import format_duration
from framework.api.meta import Metadata
from framework.kinds import KINDS
from framework.planning.grammar.kind import Kind
from framework.render.diffs import flow

PAGES = Path(__file__).parent / "kinds"
LANGUAGE = Path(__file__).parent / "specs.md"
BEGIN, END = "<!-- fields: written by docs/generate.py -->", "<!-- /fields -->"

_WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number", date: "date", timedelta: "duration"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


class Row(NamedTuple):
    path: str
    type: str
    default: str
    category: Category
    description: str


def page_of(kind: str) -> Path:
    """``FeatureView`` -> ``docs/kinds/feature-view.md``."""
    return PAGES / f"{re.sub(r'(?<=[a-z])(?=[A-Z])', '-', kind).lower()}.md"


def page(kind: Kind, text: str) -> str:
    """``text`` with its field table as the models have it now.

    Raises:
        ValueError: the markers are missing.
    """
    return _filled(f"the page of {kind.name}", text, table(kind))


def language_page(text: str) -> str:
    """The same for the page on what all kinds share."""
    return _filled("the page of the language", text, metadata_table())


def _filled(name: str, text: str, table: str) -> str:
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{name} lacks the markers {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{table}\n{END}{tail}"


def table(kind: Kind) -> str:
    """Every field of the spec, in the order of the models."""
    return _table("spec", kind.spec, kind.categories)


def metadata_table() -> str:
    """The same of what every kind has."""
    return _table("metadata", Metadata, {"": Category.METADATA})


def _table(part: str, model: type[BaseModel], categories: Mapping[str, Category]) -> str:
    head = f"| field of `{part}` | type | default | a change costs | meaning |"
    lines = [head, "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{row.path}` | {row.type} | {row.default} | {row.category.label} | {row.description} |"
        for row in rows(model, categories)
    ]
    return "\n".join(lines) + "\n"


def rows(model: type[BaseModel], categories: Mapping[str, Category], prefix: str = "") -> Iterator[Row]:
    """The fields of ``model`` and, below each, those of the models it holds."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = list(_models(field.annotation, path))
        yield Row(
            path,
            _cell(_type(field.annotation) + _bounds(field.metadata)),
            _default(field),
            category_of(path.partition("[]")[0], categories),
            _cell(field.description or " ".join(_doc(found) for found, _ in inner)),
        )
        for found, place in inner:
            yield from rows(found, categories, f"{place}.")


def _models(annotation: Any, path: str) -> Iterator[tuple[type[BaseModel], str]]:
    """The models in an annotation, each with the path where its fields stand."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, path
    elif get_origin(annotation) in (tuple, list):
        yield from _models(get_args(annotation)[0], f"{path}[]")
    elif get_origin(annotation) is dict:
        yield from _models(get_args(annotation)[1], f"{path}.NAME")
    elif get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _models(part, path)


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0]) + _bounds(annotation.__metadata__)
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is tuple and parts[-1] is not Ellipsis:
        return f"[{', '.join(_type(part) for part in parts)}]"
    if origin in (tuple, list):
        return f"list of {_type(parts[0])}"
    if origin is dict:
        return f"map to {_type(parts[1])}"
    if annotation is Any:
        return "anything"
    if issubclass(annotation, Enum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    return "object" if issubclass(annotation, BaseModel) else _WORDS[annotation]


def _bounds(metadata: Sequence[Any]) -> str:
    flat = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    limits = ((sign, getattr(item, name)) for item in flat for name, sign in _SIGNS.items() if hasattr(item, name))
    found = [f"{sign} {limit if isinstance(limit, date) else format(limit, 'g')}" for sign, limit in limits]
    return f" {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return ""
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    return f"`{flow(value.value if isinstance(value, Enum) else value)}`"


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").replace("``", "`").split("\n\n")[0].split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 where a page is behind")
    options = parser.parse_args(arguments)
    behind = []
    pages: dict[Path, Callable[[str], str]] = {page_of(kind.name): partial(page, kind) for kind in KINDS.values()}
    pages[LANGUAGE] = language_page
    for path, write in pages.items():
        old = path.read_text(encoding="utf-8")
        new = write(old)
        if new != old:
            behind.append(path)
            if not options.check:
                path.write_text(new, encoding="utf-8")
    for path in behind:
        print(f"{'is behind' if options.check else 'written'}: {path}")
    return 1 if behind and options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
