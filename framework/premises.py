"""Places of this machine as they are used: links followed, secrets read. What a commit names was looked at by its name
before (``framework.api.places``); a link may lead elsewhere all the same."""

from __future__ import annotations

import os
from pathlib import Path

from framework.api.errors import ConfigurationError
from framework.api.places import Premises, Use, refused_path

_LONGEST_SECRET = 1 << 16


def entered(path: str, use: Use, premises: Premises) -> Path:
    """Where ``path``, relative to the project or absolute, leads with all links followed.

    Raises:
        ConfigurationError: it leads out of ``premises``, or to a file that is not for this use.
    """
    file = (Path(premises.root) / path).resolve()
    why = refused_path(path, use, premises) or refused_path(str(file), use, premises)
    if why is not None:
        told = path if str(file) == str(Path(premises.root) / path) else f"{path} leads to {file}"
        raise ConfigurationError(f"{told}: {why}")
    return file


def secret(env: str | None, file: str | None, premises: Premises) -> str:
    """What the environment variable, or else the file, holds, without blanks around it.

    Raises:
        ConfigurationError: it is not there, is empty, or may not be read. What it holds is not repeated.
    """
    if env is not None:
        value = os.environ.get(env, "").strip()
        if not value:
            raise ConfigurationError(f"the environment variable {env} is not set")
        return value
    assert file is not None, "a reference names one of both"
    try:
        with entered(file, Use.SECRET, premises).open("rb") as stream:
            value = stream.read(_LONGEST_SECRET).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"the file {file}: {why}") from None
    if not value:
        raise ConfigurationError(f"the file {file} is empty")
    return value
