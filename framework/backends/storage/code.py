"""User code as archives below an environment's storage, where runs and replicas fetch it."""

from __future__ import annotations

from framework import storage
from framework.api import layout
from framework.api.errors import ConfigurationError
from framework.backends.git.process import is_sha
from framework.ports import CodeRef, SpecSource
from framework.specs.language import words


class CodeArchive:
    """A CodeStore that publishes archives below an environment's storage, named by content."""

    def __init__(self, source: SpecSource, storage_uri: str) -> None:
        self._source = source
        self._storage = storage_uri
        self._published: set[str] = set()

    def ensure(self, code: CodeRef) -> str:
        """The URI of the archive; written once, whoever asks first.

        Raises:
            TerminalError: the commit has no such folder, or it is too large.
        """
        if not is_sha(code.digest):
            raise ConfigurationError(f"{words.shorten(code.digest)!r} does not name code")
        uri = layout.code_archive(self._storage, code.digest)
        if uri not in self._published:
            if storage.read_bytes(uri) is None:
                storage.write_bytes(uri, self._source.archive(code.commit, code.folder))
            self._published.add(uri)
        return uri
