"""Why a repository does not have what was asked of it, and what to do. Asked only after something was not found."""

from __future__ import annotations

import re
from pathlib import Path

from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.api.nearest import did_you_mean
from framework.backends.git.process import Git, is_sha
from framework.backends.git.remote import words_of

_SHALLOW = "this clone is shallow; fetch more of it (git fetch --unshallow, or fetch-depth: 0 in a workflow)"
_SHOWN = 5


def unresolved(git: Git, root: Path, revision: str) -> MlopsError:
    """``revision``, a name that git can read as such, names no commit."""
    gone = _gone(git, root)
    if gone is not None:
        return gone
    here, start = f"the repository at {root}", re.split(r"[~^]", revision)[0]
    stands = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", start).text
    if not is_sha(stands) or stands == start:
        why = _unknown_sha(git, start) if is_sha(start) else _unknown_name(git, start)
        return ConfigurationError(f"{here} {why}{_if_shallow(git)}")
    kind = git.run("cat-file", "-t", stands)
    if kind.status != 0:
        why = words_of(git.run("cat-file", "commit", stands).complaint)
        return TransientError(f"{here}: {start!r} stands at commit {stands[:10]}, which cannot be read: {why}")
    if start != revision:
        return ConfigurationError(
            f"{here} has no commit {revision!r}: the history of {start!r} does not go back so far{_if_shallow(git)}"
        )
    return ConfigurationError(f"{here} has no commit {revision!r}, but a {kind.text} of that name")


def unreadable(git: Git, root: Path, commit: str, complaint: str) -> MlopsError:
    """Git would not show something of a commit."""
    gone = _gone(git, root)
    if gone is not None:
        return gone
    if git.run("cat-file", "-e", f"{commit}^{{commit}}").status != 0:
        return ConfigurationError(f"commit {commit[:10]} is not in the repository at {root}{_if_shallow(git)}")
    return damaged(git, root, f"commit {commit[:10]}", complaint)


def damaged(git: Git, root: Path, what: str, complaint: str) -> TransientError:
    """An object is not there or cannot be read, which a person may mend."""
    return TransientError(
        f"{what} cannot be read from the repository at {root}: {words_of(complaint)}{_if_partial(git)}"
    )


def shallow(git: Git) -> bool:
    return git.run("rev-parse", "--is-shallow-repository").text == "true"


def _gone(git: Git, root: Path) -> ConfigurationError | None:
    answer = git.run("rev-parse", "--git-dir")
    return (
        None
        if answer.status == 0
        else ConfigurationError(f"the repository of {root} is gone: {words_of(answer.complaint)}")
    )


def _unknown_sha(git: Git, sha: str) -> str:
    if git.run("show-ref", "--verify", "--quiet", f"refs/heads/{sha}").status == 0:
        return f"has no commit {sha!r}, but a branch of that name: call it refs/heads/{sha}"
    return f"has no commit {sha!r}"


def _unknown_name(git: Git, name: str) -> str:
    names = [known for known in _branches_and_tags(git) if known != name]
    there = f"; it has {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}" if names else ""
    if name in {"HEAD", "@"}:
        branch = git.run("symbolic-ref", "--quiet", "--short", "HEAD").text
        if not names and not _had_commits(git):
            return "has no commit yet"
        return f"has no commit checked out: branch {branch!r} was deleted, or nothing was committed to it{there}"
    if not names:
        return f"has no branch {name!r} any more" if _had_commits(git) else "has no commit yet"
    return f"has no commit, branch or tag {name!r}{did_you_mean(name, names) or there}"


def _branches_and_tags(git: Git) -> list[str]:
    return git.run("for-each-ref", "--count=1000", "--format=%(refname:short)").text.split()


def _had_commits(git: Git) -> bool:
    """Whether anything was ever checked out here, as far as git noted it."""
    log = git.folder / "logs" / "HEAD"
    return log.is_file() and log.stat().st_size > 0


def _if_shallow(git: Git) -> str:
    return f"; {_SHALLOW}" if shallow(git) else ""


def _if_partial(git: Git) -> str:
    promised = git.run("config", "--get-regexp", r"^remote\..*\.promisor$").text
    if not promised:
        return ""
    remote = promised.splitlines()[0].split()[0].removeprefix("remote.").removesuffix(".promisor")
    return (
        "; this clone is partial, and what it left out is not fetched here; fetch all of it "
        f"(git fetch --refetch --filter=blob:limit=1g {remote}), or clone without --filter"
    )
