"""Selectors of labels are Ray's, and mean what they mean there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from ray._private.label_utils import validate_label_selector

from framework.api.node_labels import LabelKey, LabelSelector, satisfies

SELECTORS: TypeAdapter[Any] = TypeAdapter(dict[LabelKey, LabelSelector])
WORDS = st.from_regex("[A-Za-z0-9][A-Za-z0-9_.-]{0,3}[A-Za-z0-9]|in|[a-c]", fullmatch=True)
TESTS = st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=3).map(lambda words: f"in({', '.join(words)})"))
KEYS = st.one_of(WORDS, st.sampled_from(["ray.io/market-type", "example.org/a", "a-b/c"]))


@given(st.dictionaries(KEYS, st.one_of(TESTS, TESTS.map("!{}".format)), max_size=3))
def test_ray_takes_what_a_spec_may_say(written: dict[str, str]) -> None:
    asked = SELECTORS.validate_python(written)
    assert validate_label_selector(asked) is None
    assert SELECTORS.validate_python(asked) == asked


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3), st.none() | WORDS)
def test_a_selector_looks_at_the_values_that_it_names(key: str, words: list[str], value: str | None) -> None:
    labels = {} if value is None else {key: value}

    def chosen(selector: str) -> bool:
        return satisfies(labels, SELECTORS.validate_python({key: selector}))

    among = f"in({', '.join(words)})"
    assert chosen(among) == (value in words)
    assert chosen(words[0]) == (value == words[0])
    assert chosen(f"!{among}") != chosen(among)
    assert chosen(f"!{words[0]}") != chosen(words[0])


@pytest.mark.parametrize("selector", ["(a)", "!!a", "in(a,  b)", "in(a)b", "in( a )", " a", "in(a, b", "a b", "a,b"])
def test_what_ray_would_read_otherwise_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="does not select a label"):
        SELECTORS.validate_python({"pool": selector})
