"""The environment variables with which an operator says what git may not: where it is, whom to trust, what to show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from controllers.settings import GitAccess, Settings, WebhookAddress, find_root, project_folder
from framework.api.errors import ConfigurationError
from framework.api.fields import parse_duration

SOURCE = "MLOPS_SOURCE"
FORCE_PUSH = "MLOPS_ALLOW_FORCE_PUSH"
SHORTEST_SECRET = 16

_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})
_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):)?(?P<port>\d{1,5})")
_LONGEST_POLL = timedelta(days=1)


def settings_at(start: Path, environment: str, variables: Mapping[str, str], *, named: bool, **more: Any) -> Settings:
    """Settings for the project at ``start``, or in a folder above it. ``named``: somebody said that it is that folder.

    Raises:
        ConfigurationError: there is no project, or one of the variables cannot work.
    """
    elsewhere = bool(variables.get(SOURCE))  # then the project's folder needs no repository of its own
    root = find_root(start) if not elsewhere else start if named else project_folder(start)
    return Settings(root=root, environment=environment, **{**operator_settings(variables, root), **more})


def operator_settings(variables: Mapping[str, str], root: Path) -> dict[str, Any]:
    """What of :class:`Settings` the variables set, for the project at ``root``.

    Raises:
        ConfigurationError: one of them cannot work. What a secret holds is not repeated.
    """
    source = variables.get(SOURCE, "")
    found: dict[str, Any] = {
        # A repository on this machine is its owner's to amend and to switch; at a remote, others build on what stands.
        "allow_force_push": _flag(variables, FORCE_PUSH, default=not source),
        "allowed_signers": _signers(variables, root),
        "allowed_paths": allowed_paths(variables),
        "git": _access(variables),
        "webhook": _webhook(variables),
    }
    if source:
        found |= {"source": source, "source_folder": variables.get("MLOPS_SOURCE_FOLDER", "").strip("/")}
    if branch := variables.get("MLOPS_BRANCH", ""):
        found["revision"] = branch
    elif source:
        found["revision"] = "main"
    if keeper := variables.get("MLOPS_KEEPER", ""):
        found["keeper"] = _process(keeper)
    if interval := variables.get("MLOPS_POLL", ""):
        found["remote_poll"] = _interval(interval)
    return found


def _process(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 1 << 31):
        raise ConfigurationError(f"MLOPS_KEEPER is {text[:40]!r}; write the number of a process")
    return int(text)


def allowed_paths(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Folders that specs may name though they lie outside of the project, as they are given and where they lead.

    Raises:
        ConfigurationError: one of them is not absolute.
    """
    found: dict[str, None] = {}
    for folder in filter(None, variables.get("MLOPS_ALLOWED_PATHS", "").split(":")):
        if not folder.startswith("/") or ".." in folder.split("/"):
            raise ConfigurationError(
                f"MLOPS_ALLOWED_PATHS: {folder!r} is no folder from the root; write /srv/mlops:/data"
            )
        found |= {folder: None, str(Path(folder).resolve()): None}
    return tuple(found)


def _flag(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    if name not in variables:
        return default
    value = variables[name].strip().lower()
    if value not in _TRUE | _FALSE:
        raise ConfigurationError(f"{name} is {value!r}; write 1 or 0")
    return value in _TRUE


def _interval(text: str) -> timedelta:
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"MLOPS_POLL: {error}") from error
    if not timedelta(seconds=1) <= interval <= _LONGEST_POLL:
        raise ConfigurationError(f"MLOPS_POLL is {text}; it must be between 1s and 1d")
    return interval


def _signers(variables: Mapping[str, str], root: Path) -> Path | None:
    """Set, but wrong, never means that nothing is checked."""
    name, text = "MLOPS_ALLOWED_SIGNERS", variables.get("MLOPS_ALLOWED_SIGNERS")
    if text is None:
        return None
    path = _file(name, text)
    inside = path.resolve()
    if inside.is_relative_to(root) and not inside.is_relative_to(root / ".mlops"):
        raise ConfigurationError(f"{name}: {path} lies in the project, where a commit could change who may sign")
    return path


def _access(variables: Mapping[str, str]) -> GitAccess:
    username, token = variables.get("MLOPS_GIT_USERNAME") or None, variables.get("MLOPS_GIT_TOKEN") or None
    for name, value in (("MLOPS_GIT_USERNAME", username), ("MLOPS_GIT_TOKEN", token)):
        if value is not None and (not value.isprintable() or re.search(r"\s", value)):
            raise ConfigurationError(f"{name} has blanks or line ends in it")
    if username is not None and (token is None or ":" in username):
        raise ConfigurationError("MLOPS_GIT_USERNAME goes with MLOPS_GIT_TOKEN, and has no colon in it")
    key = variables.get("MLOPS_GIT_SSH_KEY") or None
    return GitAccess(
        username=username,
        token=token,
        ssh_key=_file("MLOPS_GIT_SSH_KEY", key) if key else None,
        author=variables.get("MLOPS_GIT_AUTHOR") or None,
    )


def _file(name: str, text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        said = "empty" if not text else f"{text!r}, which depends on where the controller was started"
        raise ConfigurationError(f"{name} is {said}; name a file from the root: /path/to/it")
    if not path.is_file():
        raise ConfigurationError(f"{name}: there is no file {path}")
    return path


def _webhook(variables: Mapping[str, str]) -> WebhookAddress | None:
    text = variables.get("MLOPS_WEBHOOK", "")
    if not text:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) >= 1 << 16:
        raise ConfigurationError(f"MLOPS_WEBHOOK is {text!r}; write host:port, or a port for this machine only")
    secret = variables.get("MLOPS_WEBHOOK_SECRET", "")
    if len(secret) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"MLOPS_WEBHOOK needs MLOPS_WEBHOOK_SECRET, of at least {SHORTEST_SECRET} characters: the one that the "
            "forge was given, or anybody could call"
        )
    return WebhookAddress((match["host"] or "127.0.0.1").strip("[]"), int(match["port"]), secret)
