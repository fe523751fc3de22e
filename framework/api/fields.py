"""Field types that more than one kind uses."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from framework.api import cron
from framework.api.addresses import mistake_of_link
from framework.api.meta import Strict

_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
"""In microseconds."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)
_MOST_DIGITS = 64
LONGEST_DURATION = timedelta(days=36_500)
"""Whatever is added to or taken from a time of our days stays a time."""


def parse_duration(value: Any) -> timedelta:
    """``90s``, ``5m``, ``3h``, ``7d``, ``2ms`` as a timedelta, to the microsecond.

    Raises:
        ValueError: no unit, an unknown unit, less than a microsecond (``0s`` is allowed), or more than a century.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 90s, 5m, 3h or 7d")
    if len(match[1]) > _MOST_DIGITS:
        raise ValueError(f"a duration with a number of {len(match[1])} characters; at most {_MOST_DIGITS} are read")
    microseconds = Decimal(match[1]) * _UNITS[match[2]]
    if microseconds > LONGEST_DURATION // _MICROSECOND:
        raise ValueError(f"{value!r} is longer than {format_duration(LONGEST_DURATION)}, a century")
    found = round(microseconds) * _MICROSECOND
    if microseconds and not found:
        raise ValueError(f"{value!r} is shorter than a microsecond")
    return found


def format_duration(value: timedelta) -> str:
    """The text in the largest unit that reads back as ``value``."""
    microseconds = value // _MICROSECOND
    for unit, size in reversed(_UNITS.items()):
        if microseconds >= size and microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{Decimal(microseconds) / _UNITS['ms']}ms"


_SIZES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_MEMORY = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(Ki|Mi|Gi|Ti)B?", re.ASCII)


def parse_memory(value: Any) -> int:
    """``512MiB``, ``4GiB`` or, as Kubernetes writes it, ``4Gi`` in bytes.

    Raises:
        ValueError: no unit or an unknown one, or less than a byte.
    """
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size such as 512MiB or 4GiB")
    found = round(Decimal(match[1]) * _SIZES[match[2]])
    if not found:
        raise ValueError("must be more than nothing")
    return found


def format_memory(value: int) -> str:
    """The text in the largest unit that reads back as ``value``.

    >>> format_memory(4 * 2**30), format_memory(1536 * 2**20), format_memory(3 * 2**29 + 1)
    ('4GiB', '1536MiB', '1572864.000977KiB')
    """
    for unit, size in reversed(_SIZES.items()):
        if value >= size and value % size == 0:
            return f"{value // size}{unit}B"
    return f"{round(Decimal(value) / _SIZES['Ki'], 6)}KiB"


Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    PlainSerializer(format_memory, return_type=str),
    WithJsonSchema({"type": "string", "pattern": rf"^{_MEMORY.pattern}$", "examples": ["512MiB", "4GiB"]}),
]


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than nothing")
    return value


_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$", "examples": ["90s", "5m", "3h"]}
)
DurationOrZero = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str), _DURATION_SCHEMA
]
Duration = Annotated[DurationOrZero, AfterValidator(_positive)]


def default_duration(text: str, description: str | None = None) -> Any:
    """A field's default, written as users write it, in the JSON Schema too."""
    return Field(default=parse_duration(text), description=description, json_schema_extra={"default": text})


def _like(*examples: str) -> Any:
    """Values that an editor offers."""
    return Field(examples=list(examples))


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Probability = Annotated[float, Field(ge=1e-6, lt=1.0)]
"""Of being wrong. It is divided among columns and looks, and what is left must still differ from nothing."""

Cpus = Annotated[float, Field(gt=0, le=100_000)]
Gpus = Annotated[float, Field(ge=0, le=100_000)]
Workers = Annotated[int, Field(ge=1, le=10_000)]
"""Together they stay numbers that can be added and multiplied."""

Day = Annotated[date, Field(ge=date(1700, 1, 1), le=date(2200, 1, 1))]
"""Whatever is counted in nanoseconds from 1970 can hold it."""

Entrypoint = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"),
    _like("examples.flights.features:departures"),
]
"""``package.module:attribute``, a module of the repository at the same commit and nothing else."""

CronExpression = Annotated[
    str,
    StringConstraints(max_length=cron.LONGEST, pattern=r"^\S+( +\S+){4}$"),
    AfterValidator(cron.check),
    _like("0 3 * * 1"),
]
"""Five fields: minute, hour, day of month, month, day of week. The pattern is for editors."""

Timezone = Annotated[str, AfterValidator(cron.check_timezone)]
"""An IANA name, e.g. ``Europe/Vienna``."""


def _inside(path: str) -> str:
    if not path:
        raise ValueError("a path is needed: below the project's root, or a URL such as s3://bucket/folder")
    if (why := mistake_of_link(path)) is not None:
        raise ValueError(f"is no address: {why}")
    if "://" not in path and (path.startswith("/") or ".." in path.split("/")):
        folder = path if path.startswith("/") and ".." not in path.split("/") else "/folder"
        raise ValueError(
            f"{path!r} leaves the project's root; use a path below the root or a URL: s3://bucket/folder, or "
            f"file://{folder} for one of the machines that runs are on"
        )
    return path


DataPath = Annotated[
    str, Field(max_length=1024), AfterValidator(_inside), _like("data/*.parquet", "s3://bucket/folder")
]
"""Of data: relative to the project's root, or any fsspec URL."""


_TO_NOBODY_ELSE = frozenset({"MLOPS_GIT_TOKEN", "MLOPS_RAY_TOKEN", "MLOPS_WEBHOOK_SECRET"})


def _variable(name: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
        raise ValueError(
            f"{name!r} is not the name of an environment variable: letters, digits and '_', no digit first"
        )
    if name in _TO_NOBODY_ELSE:
        raise ValueError(f"{name} is for mlopsctl itself; a commit cannot send it elsewhere")
    return name


class SecretRef(Strict):
    """Where a secret is read from. Values never stand in a spec."""

    env: Annotated[str, Field(max_length=200), AfterValidator(_variable)] | None = Field(
        None, description="An environment variable of the controller"
    )
    file: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="A file that the controller can read: below .mlops/ of the project, or in /run/secrets"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret is read from exactly one of env, file")
        return self


def exactly_one(model: Strict, *names: str) -> str:
    """The one of ``names`` that is set.

    Raises:
        ValueError: none or several are.
    """
    chosen = [name for name in names if getattr(model, name) is not None]
    if len(chosen) != 1:
        found = " and ".join(chosen) if chosen else "none"
        raise ValueError(f"exactly one of {', '.join(names)} is needed, found {found}")
    return chosen[0]


def ordered(model: Strict, low: str, high: str) -> None:
    """Hold a range to having a bound, and the lower one not above the upper.

    Raises:
        ValueError: neither bound is set, or they are the wrong way round.
    """
    below, above = getattr(model, low), getattr(model, high)
    if below is None and above is None:
        raise ValueError(f"{low} or {high} is needed")
    if below is not None and above is not None and below > above:
        raise ValueError(f"{low} must not exceed {high}")
