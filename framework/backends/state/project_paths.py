"""Paths below the project's folder, kept so that they hold wherever that folder is.

Records and model versions name files: artefacts, tables, profiles. Those below the project's own folder move with it,
so they are kept relative to it, and are whole again when they are read. Others, and URLs, stay as they are. All of it
is done on the JSON text, because who keeps values need not know which of them are paths. Pure.
"""

from __future__ import annotations

import json
import re

_MARK = "$"
"""Begins a text that is relative to the project's folder, ``$/...``; a text of its own that begins so has it twice."""

_MARKED = re.compile(rf'"\{_MARK}([/{_MARK}])')


class ProjectPaths:
    """``root`` is the absolute path of the project's folder."""

    def __init__(self, root: str) -> None:
        self._root = json.dumps(root.rstrip("/"))[1:-1]

    def kept(self, body: str) -> str:
        """``body``, canonical JSON, as it is kept."""
        return body.replace(f'"{_MARK}', f'"{_MARK}{_MARK}').replace(f'"{self._root}/', f'"{_MARK}/')

    def found(self, body: str) -> str:
        """What :meth:`kept` was given, for where the project's folder is now. Damage is left for the reader to find."""
        if not isinstance(body, str) or f'"{_MARK}' not in body:
            return body
        return _MARKED.sub(lambda found: f'"{self._root}/' if found[1] == "/" else f'"{_MARK}', body)
