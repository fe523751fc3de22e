"""A commit of the controller's own that sets one field of a spec: for people to merge, or on the followed branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.api.errors import ConflictError, TerminalError
from framework.api.meta import Ref
from framework.planning.grammar.actions import Propose
from framework.ports import Ports, Proposal
from framework.specs.yaml.editor import set_value
from framework.specs.yaml.positions import parse


def propose(action: Propose, ports: Ports) -> None:
    """Make the commit. A branch of that name that says something else is a proposal that waits for people, and is left
    as it is.

    Raises:
        ConflictError: the branch that is followed has moved on: it is read again first.
        TerminalError: the file does not say what is in force.
        EditError: it cannot be edited without changing more.
        ConfigurationError, TransientError: see :class:`framework.ports.SpecWriter`.
    """
    text = _text(action, ports)
    if _said(text, action) != action.before:
        told = (
            f"{action.path} of {action.resource} is set elsewhere than in {action.file}; set it to {action.value} there"
        )
        raise TerminalError("FieldPatched", told)
    edited = set_value(text, Ref.parse(action.resource), f"spec.{action.path}", action.value)
    branch = action.branch or ports.writer.followed().branch
    try:
        ports.writer.propose(Proposal(action.base, branch, action.message, files={action.file: edited.encode()}))
    except ConflictError:
        if not action.branch:
            raise


def _text(action: Propose, ports: Ports) -> str:
    blobs = [blob for blob in ports.source.blobs(action.base, action.file) if blob.path == action.file]
    if not blobs:
        raise TerminalError("FileMissing", f"commit {action.base[:7]} has no file {action.file}")
    return ports.source.read(blobs)[blobs[0].sha].decode()


def _said(text: str, action: Propose) -> Any:
    """What the file says of the field; where it says nothing, the default is in force."""
    for document in parse(action.file, text.encode()).documents:
        if document.ref == Ref.parse(action.resource):
            found: Any = document.data.get("spec")
            for key in action.path.split("."):
                found = found.get(key) if isinstance(found, Mapping) else None
            return action.default if found is None else found
    return None
