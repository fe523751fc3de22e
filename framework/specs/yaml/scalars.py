"""Plain (unquoted) YAML scalars by the YAML 1.2 core schema.

Dates stay text: the field that wants a date parses it. What YAML 1.1 reads otherwise (``yes``, ``010``) is refused,
because half of the world's YAML tools would see another value than we do.
"""

from __future__ import annotations

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})


def _spelled(words: dict[str, bool]) -> dict[str, bool]:
    return {text: value for word, value in words.items() for text in (word, word.title(), word.upper())}


_BOOLEANS = _spelled({"true": True, "false": False})
_OLD_BOOLEANS = _spelled({"y": True, "yes": True, "on": True, "n": False, "no": False, "off": False})
_MAYBE_NUMBER = frozenset("0123456789+-.")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_OLD_NUMBER = re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9]+(_+[0-9]+)+(\.[0-9_]*)?|0b[01_]+)")
"""Numbers of YAML 1.1 alone: of base 60 (``12:30``), with underscores (``1_000``), of base 2 (``0b101``)."""
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_MAX_DIGITS = 64


class ScalarError(ValueError):
    """A scalar that two readers of YAML understand differently. ``stand_in`` lets reading go on."""

    def __init__(self, message: str, stand_in: str | int | float | bool, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.stand_in = stand_in
        self.suggestion = suggestion


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar.

    >>> resolve("0x1F"), resolve("1e3"), resolve("2013-01-01"), resolve("~")
    (31, 1000.0, '2013-01-01', None)

    Raises:
        ScalarError: a YAML 1.1 boolean or number, a number with a leading zero, or one that is too large or too long.
    """
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULL:
        return None
    if text in _OLD_BOOLEANS:
        meant = _OLD_BOOLEANS[text]
        word = str(meant).lower()
        raise ScalarError(
            f"{text} without quotes is {word} to some YAML readers and text to others; "
            f'quote it if it is text: "{text}"',
            meant,
            word,
        )
    return _number(text) if text[0] in _MAYBE_NUMBER else text


def _number(text: str) -> str | int | float:
    if _LEADING_ZERO.fullmatch(text):
        raise ScalarError(
            f"{text} has a leading zero, which some YAML readers take for octal; "
            f"write the number without it, or quote it: \"{text}\"", text,
        )  # fmt: skip
    if len(text) <= _MAX_DIGITS and _OLD_NUMBER.fullmatch(text):
        raise _old_number(text)
    integer = _DECIMAL.fullmatch(text) or _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text)
    if (integer or _FLOAT.fullmatch(text)) and len(text) > _MAX_DIGITS:
        raise ScalarError(f"a number of {len(text)} characters; at most {_MAX_DIGITS} are read", 0)
    if integer:
        whole = int(text, 10 if _DECIMAL.fullmatch(text) else 0)
        if not _SMALLEST <= whole <= _LARGEST:
            raise ScalarError(f"{text} is no whole number of 64 bits", 0)
        return whole
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in {float("inf"), float("-inf")}:
            raise ScalarError(f"{text} is too large to be a number", 0)
        return number
    if _INFINITY.fullmatch(text):
        return float("-inf") if text[0] == "-" else float("inf")
    return float("nan") if text in _NAN else text


def _old_number(text: str) -> ScalarError:
    differs = f"{text} without quotes is a number to some YAML readers and text to others"
    if ":" in text:
        return ScalarError(f'{differs}; quote it: "{text}"', text)
    digits = text.replace("_", "")
    meant: int | float = float(digits) if "." in digits else int(digits, 2 if "b" in digits else 10)
    return ScalarError(f'{differs}; write {meant} if it is a number, or quote it: "{text}"', meant, str(meant))
