"""What the processes of a deployment on Ray Serve wrote, and what Serve says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from framework.api.names import own_name
from framework.backends.ray.logs import RayLogs, last_stamp
from framework.backends.ray.serve_config import MODEL_DEPLOYMENT, ROUTER_DEPLOYMENT, deployment_of
from framework.backends.ray.serve_list import Listing, told_by
from framework.ports import Log

MOST = 20
"""Replicas whose logs are shown, those that wrote last: one that fails at its start is tried again and again."""

_FILE = re.compile(rf"serve/replica_(?P<app>.+)_(?:{MODEL_DEPLOYMENT}|{ROUTER_DEPLOYMENT})_(?P<id>[a-z0-9]+)\.log")


def serving_logs(files: RayLogs, listing: Listing, deployment: str, lines: int) -> Sequence[Log]:
    """The files that replicas leave on their nodes, those of apps that are gone included; then what Serve says of apps
    that fail, because a replica that cannot start writes nothing of why."""
    written: list[tuple[str, Log]] = []
    router = listing.router(deployment)
    made_for = {deployment, *([deployment_of(own_name(router["name"]))] if router is not None else [])}
    found = {place for name in made_for for place in files.find(f"serve/replica_*{name}-*.log")}
    for node, file in sorted(found):
        replica = _FILE.fullmatch(file)
        if replica is not None and listing.may_be_of(deployment, replica["app"]):
            text = files.tail(node, file, lines)
            if text:
                log = Log(own_name(replica["app"]), text, f"replica {replica['id']}")
                written.append((last_stamp(text), log))
    newest = [log for _, log in sorted(written, key=lambda item: item[0])][-MOST:]
    return (*newest, *_complaints(listing, deployment, lines))


def _complaints(listing: Listing, deployment: str, lines: int) -> Iterator[Log]:
    router = listing.router(deployment)
    routers = [(own_name(router["name"]), router)] if router is not None else []
    for name, live in (*listing.models(deployment).items(), *routers):
        if said := told_by(live):
            yield Log(name, "\n".join(said.splitlines()[-lines:] if lines else ()), "as Ray Serve tells")
