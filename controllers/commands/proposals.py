"""Commits that commands prepare for people to merge."""

from __future__ import annotations

from framework.api.errors import ConfigurationError, ConflictError
from framework.ports import Proposal, Proposed, SpecSource, SpecWriter
from framework.ports.source import Repository
from framework.specs.tree import blob_sha


def propose(proposal: Proposal, writer: SpecWriter, source: Repository) -> Proposed:
    """Make the commit, or find one on the branch that says the same already, whoever made it and for whatever reason.

    Raises:
        ConflictError: the branch says something else, or is checked out in a work tree.
        ConfigurationError: an unsafe name, no right to push.
    """
    try:
        return writer.propose(proposal)
    except ConflictError:
        try:
            tip = source.resolve(proposal.branch)
        except ConfigurationError:
            tip = None
        if tip is None or not source.descends(tip, proposal.base) or not _says(source, tip, proposal):
            raise
        return Proposed(tip, proposal.branch, pushed=False)


def _says(source: SpecSource, tip: str, proposal: Proposal) -> bool:
    return all(
        source.tree_digest(tip, folder) == source.tree_digest(commit, folder)
        for folder, commit in proposal.folders.items()
    ) and all(
        source.tree_digest(tip, path) == (None if data is None else blob_sha(data))
        for path, data in proposal.files.items()
    )
