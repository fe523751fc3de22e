"""Whether the audit log is whole, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from framework.ports import Seal
from framework.render.canonical import document
from framework.render.wording import count, second

FORMAT = 1


def audit_text(environment: str, seal: Seal, problems: Sequence[str], damage: Sequence[str] = ()) -> str:
    """One line for each problem, or one that says what was verified, and the head to note elsewhere; and what of all
    that is kept beside the log cannot be read."""
    return _log_text(environment, seal, problems) + _damage_text(damage)


def _damage_text(damage: Sequence[str]) -> str:
    if not damage:
        return ""
    lines = [f"Beside the log, {count(len(damage), 'value')} cannot be read:", *(f"  {item}" for item in damage)]
    return "\n".join(lines) + "\n"


def _log_text(environment: str, seal: Seal, problems: Sequence[str]) -> str:
    logged = f"{count(seal.events, 'event')} of environment {environment}"
    span = f", {second(seal.first)} UTC to {second(seal.last)} UTC" if seal.first and seal.last else ""
    if problems:
        lines = [f"The log is NOT what was logged: {count(len(problems), 'problem')} in {logged}{span}."]
        return "\n".join([*lines, *(f"  {problem}" for problem in problems)]) + "\n"
    if seal.events == 0:
        return f"Nothing was logged in environment {environment} yet.\n"
    return f"The log is whole: {logged}{span}.\nhead {seal.head}\n"


def audit_json(environment: str, seal: Seal, problems: Sequence[str], damage: Sequence[str] = ()) -> str:
    """``valid`` (of the log), its problems, the seal (how many events there are, from when to when, and the hash of the
    last), and what else is damaged."""
    return document(
        {
            "format": FORMAT,
            "environment": environment,
            "valid": not problems,
            "problems": list(problems),
            "damage": list(damage),
            "events": seal.events,
            "head": seal.head,
            "first": seal.first,
            "last": seal.last,
        }
    )
