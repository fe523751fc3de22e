"""Reports as files under the environment's storage."""

from __future__ import annotations

from framework import storage
from framework.api.errors import ConfigurationError, TerminalError, TransientError


class FileReports:
    """ReportStore on any fsspec URL; a reader never sees half a page."""

    def write(self, uri: str, html: str) -> None:
        """Publish the page in place of the one before.

        Raises:
            TransientError: the storage cannot be written now.
            ConfigurationError: nothing is installed that could write to such a URI.
        """
        try:
            storage.write_bytes(uri, html.encode())
        except OSError as error:
            raise TransientError(f"the report {uri} could not be written: {error.strerror or error}") from error
        except TerminalError as error:
            raise ConfigurationError(f"the report cannot be written: {error}") from error
