"""Which Environment a project is opened with: where its state is, and which cluster.

That of the newest commit, and where that cannot be had, the one in force: no commit, and nothing that became of the
repository, takes the way to the state away. A copy of the Environment in force is kept for that beside the state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from controllers.revision.acceptance import moved
from controllers.runtime.trouble import in_a_line
from controllers.settings import Settings
from framework import storage
from framework.api.errors import ConfigurationError, MlopsError
from framework.api.meta import Stored
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.panics import panics_told
from framework.ports import Repository
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.read import read_environment

log = logging.getLogger(__name__)

LOOKED_BACK = 20
"""Commits back from the newest among which one is looked for that says where state is."""

_NOT_KEPT = {"patches", "policies"}
"""What of an Environment has no say in where anything is."""


class Accepted(Stored):
    """The Environment of a commit that took effect."""

    commit: str
    environment: EnvironmentSpec


class AcceptedEnvironment:
    """The file that keeps it, in ``folder``; of one environment."""

    def __init__(self, folder: Path, environment: str) -> None:
        self.file = folder / f"environment-{environment}.json"

    def load(self) -> Accepted | None:
        """None before the first commit took effect.

        Raises:
            ConfigurationError: there is a file, and it cannot be read.
        """
        try:
            found = storage.read_json(str(self.file))
            return None if found is None else Accepted.model_validate(found)
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{self.file} cannot be read: {in_a_line(error)}") from error

    def keep(self, commit: str, environment: EnvironmentSpec) -> None:
        """Raises OSError."""
        kept = Accepted(commit=commit, environment=environment)
        text = kept.model_dump_json(indent=2, exclude={"environment": _NOT_KEPT})
        storage.write_bytes(str(self.file), f"{text}\n".encode())


@dataclass(frozen=True)
class Opening:
    """``note``: in one line, what had to be fallen back to, and why; "" where nothing had."""

    environment: EnvironmentSpec
    note: str = ""


@dataclass(frozen=True)
class Opener:
    """``led`` tells whether a controller may be at work where an Environment says that state is, ``inhabited`` whether
    a commit ever took effect there, and ``valid`` whether nothing is wrong with a commit. ``refresh`` asks the remote,
    where there is one to ask."""

    source: Repository
    settings: Settings
    cache: ParseCache
    kept: AcceptedEnvironment
    led: Callable[[EnvironmentSpec], bool]
    inhabited: Callable[[EnvironmentSpec], bool]
    refresh: Callable[[], None]
    valid: Callable[[str], bool]

    def find(self) -> Opening:
        """The Environment to go by.

        Raises:
            SpecError: it is wrong or missing in the newest commit, and none was ever in force.
            ConfigurationError: no repository or commit, or an Environment that this version does not execute, likewise.
        """
        try:
            with panics_told():
                self.refresh()
                commit = self._trusted()
                newest = self._read(commit)
        except Exception as error:
            found = self._fall_back(error)
            if found is None:
                raise
            return found
        return self._ahead(commit, newest) or Opening(newest)

    def _ahead(self, commit: str, newest: EnvironmentSpec) -> Opening | None:
        """The Environment in force, where the newest one asks for state or a cluster elsewhere and nobody may go there
        yet: a controller is at work, or this command only looks."""
        try:
            accepted = self.kept.load()
        except ConfigurationError:
            return None  # it is written anew when a commit takes effect
        if accepted is None or not (fields := moved(accepted.environment, newest)) or not self._believed(accepted):
            return None
        if self.settings.starts and not self._led(accepted) and self.valid(commit):
            return None
        note = f"{', '.join(fields)} of commit {commit[:7]} is not in force yet; going by commit {accepted.commit[:7]}"
        return Opening(accepted.environment, note)

    def _led(self, accepted: Accepted) -> bool:
        """Raises ConfigurationError where that cannot be told: two controllers at work would be worse than none."""
        try:
            return self.led(accepted.environment)
        except MlopsError as error:
            raise ConfigurationError(
                f"whether a controller is at work with the Environment in force cannot be told: {error}; "
                f"remove {self.kept.file} if none is"
            ) from error

    def _fall_back(self, error: Exception) -> Opening | None:
        why = in_a_line(error)
        try:
            accepted = self.kept.load()
            if accepted is not None and self._believed(accepted):
                return Opening(accepted.environment, f"{why}; going by commit {accepted.commit[:7]}, which is in force")
        except ConfigurationError as damage:
            why = f"{why}; and {damage}"
        commit, environment = next(self._earlier(), ("", None))
        try:
            if environment is None or not self.inhabited(environment):
                return None
        except MlopsError:
            return None
        return Opening(environment, f"{why}; going by the Environment of commit {commit[:7]}")

    def _believed(self, accepted: Accepted) -> bool:
        """Where signatures are required, a copy is believed if its commit has one, or git cannot be asked at all."""
        if self.settings.allowed_signers is None:
            return True
        try:
            self.source.resolve(self.settings.revision)
        except Exception:
            return True
        try:
            return self.source.signature(accepted.commit).trusted
        except ConfigurationError:
            return False

    def _earlier(self) -> Iterator[tuple[str, EnvironmentSpec]]:
        """Commits before the newest whose Environment can be read, newest first."""
        for commit in self._line():
            try:
                if self.settings.allowed_signers is None or self.source.signature(commit).trusted:
                    yield commit, self._read(commit)
            except Exception as error:
                log.debug("commit %s says nothing of where state is: %s", commit[:7], error)

    def _line(self) -> Iterator[str]:
        """The newest commits, as far back as they can be named."""
        try:
            newest = self.source.resolve(self.settings.revision)
            yield newest
            for back in range(1, LOOKED_BACK):
                yield self.source.resolve(f"{newest}~{back}")
        except Exception as error:
            log.debug("no commit further back: %s", error)

    def _read(self, commit: str) -> EnvironmentSpec:
        settings = self.settings
        spec = read_environment(
            self.source, commit, settings.specs, settings.environment, KINDS, self.cache, premises=settings.premises
        )
        assert isinstance(spec, EnvironmentSpec)
        missing = KINDS["Environment"].unsupported(spec)
        if missing:
            names = ", ".join(missing)
            raise ConfigurationError(f"Environment/{settings.environment}: not executed by this version: {names}")
        return spec

    def _trusted(self) -> str:
        """The newest commit. Where signatures are required, the newest that has one: nobody else says where state is
        kept, or which cluster gets our credentials.

        Raises:
            ConfigurationError: none of the newest commits has a signature that the operator allows.
        """
        newest = self.source.resolve(self.settings.revision)
        if self.settings.allowed_signers is None:
            return newest
        last = newest
        for commit in self._line():
            last = commit
            if self.source.signature(commit).trusted:
                return commit
        raise ConfigurationError(
            f"MLOPS_ALLOWED_SIGNERS is set, and of the newest commits down to {last[:7]} none has a signature that "
            f"it allows; the newest {self.source.signature(newest).problem}"
        )
