"""Log files on the nodes of a Ray, over the REST interface of its dashboard, which asks the agents of the nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

from framework.api.errors import TransientError
from framework.backends.ray.rest import RayRest

MOST_BYTES = 1 << 20
"""Of one log; whoever wants more has the files."""

_GONE = re.compile(r"A file is not found at|Agent for node id: \S+ doesn't exist")
"""How Ray 2.60 says, as a failure of its own, that it has no such file or no such node any more."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")


class RayLogs:
    """Files are named as below the log folder of their node."""

    def __init__(self, rest: RayRest) -> None:
        self._rest = rest

    def find(self, pattern: str) -> Iterator[tuple[str, str]]:
        """(node, file) for each file that matches the glob ``pattern``, on the nodes that live."""
        for node in self._nodes():
            answer = self._rest.get(f"/api/v0/logs?{urlencode({'node_id': node, 'glob': pattern})}")
            kinds = ((answer or {}).get("data") or {}).get("result") or {}
            yield from ((node, file) for files in kinds.values() for file in sorted(files))

    def tail(self, node: str, file: str, lines: int) -> str | None:
        """The last lines of a file, None where it or its node is gone.

        Raises:
            TransientError: there is no cluster, or it does not answer.
        """
        asked = urlencode({"node_id": node, "filename": file, "lines": lines, "filter_ansi_code": "true"})
        try:
            return self._rest.text(f"/api/v0/logs/file?{asked}", MOST_BYTES) if lines else ""
        except TransientError as error:
            if _GONE.search(str(error)):
                return None
            raise

    def _nodes(self) -> list[str]:
        answer = self._rest.get("/api/v0/nodes?filter_keys=state&filter_predicates=%3D&filter_values=ALIVE")
        listed = (((answer or {}).get("data") or {}).get("result") or {}).get("result") or ()
        return [node["node_id"] for node in listed]


def last_stamp(text: str) -> str:
    """The last time of day that a log of Serve tells, "" where it tells none: equal forms sort by time."""
    return next(reversed(_STAMP.findall(text)), "")
