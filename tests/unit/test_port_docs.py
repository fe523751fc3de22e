"""Whoever writes a backend learns from the protocol alone what each verb is to do."""

from __future__ import annotations

import inspect

from framework import ports

PROTOCOLS = [item for item in vars(ports).values() if getattr(item, "_is_protocol", False)]
VERBS = {
    f"{protocol.__name__}.{name}": verb
    for protocol in PROTOCOLS
    for name, verb in vars(protocol).items()
    if inspect.isfunction(verb) and not name.startswith("_")
}


def test_every_port_is_among_them() -> None:
    assert {"StateStore", "RunBackend", "ServingBackend", "ReportStore"} <= {item.__name__ for item in PROTOCOLS}


def test_a_port_says_what_it_is() -> None:
    assert [protocol.__name__ for protocol in PROTOCOLS if not protocol.__doc__] == []


def test_a_verb_says_what_it_does() -> None:
    silent = [name for name, verb in VERBS.items() if not verb.__doc__]
    assert silent == [], "which errors, what of a missing thing, in which units?"
