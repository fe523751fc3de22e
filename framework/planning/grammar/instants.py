"""Instants that are remembered, when the clock is set: they move with it, so that no duration changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from framework.api.meta import Stored
from framework.planning.grammar.changes import Status
from framework.planning.grammar.remembered import state_of

AS_SAID = "as said by others"
DatedElsewhere = Annotated[datetime, AS_SAID]
"""An instant that is read anew from where it comes, or a time of the calendar: it means nothing but itself."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def moved(status: Mapping[str, Any], state: type[Stored], by: timedelta) -> Mapping[str, Any] | None:
    """A record's status with every instant of its conditions and its state ``by`` later. None where nothing of it
    moves, and where it cannot be read."""
    try:
        found = Status.model_validate(status)
        known = state_of(found, state)
        before, after = known.model_dump(mode="json"), _moved(known, by).model_dump(mode="json")
        changed = {key: value for key, value in after.items() if value != before[key]}
        later = _moved(found, by).model_copy(update={"state": {**found.state, **changed}}).model_dump(mode="json")
    except (ValidationError, OverflowError):
        return None
    return None if later == status else later


def dated(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, bool]]:
    """Every instant that a model may hold, by its dotted path, and whether it moves."""
    for name, field in model.model_fields.items():
        for kind in _kinds(field.annotation):
            if kind is datetime:
                yield f"{path}{name}", not _stays(field)
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from dated(kind, f"{path}{name}.")


def _moved(model: ModelT, by: timedelta) -> ModelT:
    fields = type(model).model_fields
    return model.model_copy(update={name: _later(value, by) for name, value in model if not _stays(fields[name])})


def _later(value: Any, by: timedelta) -> Any:
    match value:
        case datetime():
            return value + by
        case BaseModel():
            return _moved(value, by)
        case tuple():
            return tuple(_later(item, by) for item in value)
        case dict():
            return {key: _later(item, by) for key, item in value.items()}
        case _:
            return value


def _stays(field: FieldInfo) -> bool:
    return AS_SAID in (*field.metadata, *_notes(field.annotation))


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is put together from."""
    parts = getattr(annotation, "__args__", ())
    if not parts:
        yield annotation
    for part in parts:
        yield from _kinds(part)


def _notes(annotation: Any) -> Iterator[Any]:
    """What is noted at any of them."""
    yield from getattr(annotation, "__metadata__", ())
    for part in getattr(annotation, "__args__", ()):
        yield from _notes(part)
