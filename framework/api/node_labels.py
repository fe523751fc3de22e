"""Labels of the nodes of a cluster, and selectors of them as Ray has them. Pure, because specs select nodes, and plans
look for one that will do before Ray is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from framework.api.errors import FieldError

NODE_ID = "ray.io/node-id"
"""The label by which Ray tells nodes apart."""

_WORD = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LEVEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:(?=[^/]{{1,253}}/){_LEVEL}(?:\.{_LEVEL})*/)?{_WORD}"
_SELECTOR = rf"!?(?:{_WORD}|in\({_WORD}(?:, ?{_WORD})*\))"
_LONGEST = 63
_SHOWN = 6
"""Values of a label that a message names."""


def _key(key: str) -> str:
    if re.fullmatch(_KEY, key) is None:
        told = "up to 63 letters, digits, -, _ and ., a letter or a digit first and last, maybe behind a domain and /"
        raise FieldError(f"{key!r} is no label of a node: {told}")
    if key == NODE_ID:
        raise FieldError(f"{key} is new whenever a node starts, so no commit can know it: give nodes a label of yours")
    return key


def _selector(text: str) -> str:
    """As Ray takes it, for which a space is part of the value behind it.

    >>> _selector("in(a100, h100)")
    'in(a100,h100)'
    """
    if re.fullmatch(_SELECTOR, text) is None:
        told = "a value, !value, in(a, b) or !in(a, b), each value of letters, digits, -, _ and ."
        raise FieldError(f"{text!r} does not select a label: write {told}", _meant(text))
    return text.replace(" ", "")


def _meant(text: str) -> str | None:
    """What other languages write otherwise.

    >>> _meant("notin (a, b)"), _meant("!= a"), _meant("[a, b]"), _meant("a|b"), _meant("")
    ('!in(a, b)', '!a', 'in(a, b)', 'in(a, b)', None)
    """
    found = re.fullmatch(r"\s*(!|not\b)?[\s=!]*((?:not[ _]?)?in\b)?(.*)", text, re.IGNORECASE | re.DOTALL)
    assert found is not None  # every part may be empty
    values = [value for part in re.findall("[A-Za-z0-9_.-]+", found[3]) if (value := part.strip("_.-"))]
    if not values or max(map(len, values)) > _LONGEST:
        return None
    different = found[1] is not None or (found[2] or "").lower().startswith("not")
    value = values[0] if len(values) == 1 else f"in({', '.join(values)})"
    return f"!{value}" if different else value


LabelKey = Annotated[str, AfterValidator(_key), WithJsonSchema({"type": "string", "pattern": f"^{_KEY}$"})]
LabelSelector = Annotated[
    str, AfterValidator(_selector), WithJsonSchema({"type": "string", "pattern": f"^{_SELECTOR}$"})
]
"""``value``, ``!value``, ``in(a, b)`` or ``!in(a, b)``. A node without the label has none of the values."""


def satisfies(labels: Mapping[str, str], selectors: Mapping[str, str]) -> bool:
    """Whether a node with ``labels`` will do.

    >>> satisfies({"pool": "big"}, {"pool": "in(big,small)", "zone": "!a"}), satisfies({}, {"pool": "big"})
    (True, False)
    """
    return all(_has(labels.get(key), selector) for key, selector in selectors.items())


def _has(value: str | None, selector: str) -> bool:
    wanted = selector.removeprefix("!")
    among = wanted[3:-1].split(",") if wanted.startswith("in(") else [wanted]
    return (value in among) != selector.startswith("!")


def told(selectors: Mapping[str, str]) -> str:
    """
    >>> told({"pool": "in(a,b)", "zone": "!c"})
    'pool: in(a, b) and zone: !c'
    """
    return " and ".join(f"{key}: {selector.replace(',', ', ')}" for key, selector in selectors.items())


def why_nowhere(nodes: Iterable[Mapping[str, str]], selectors: Mapping[str, str]) -> str:
    """Why none of the ``nodes``, by their labels, will do; empty where one will.

    >>> why_nowhere([{"pool": "small"}, {}], {"pool": "big"})
    'no node of the cluster has pool: big (pool is small)'
    """
    known = list(nodes)
    if not selectors or any(satisfies(labels, selectors) for labels in known):
        return ""
    there = ", ".join(_values(key, {labels[key] for labels in known if key in labels}) for key in selectors)
    return f"no node of the cluster has {told(selectors)} ({there})"


def _values(key: str, values: Iterable[str]) -> str:
    found = sorted(values)
    if not found:
        return f"no node has a label {key}"
    more = f" or one of {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{key} is {' or '.join(found[:_SHOWN])}{more}"
