"""What a status is told from, read once: git, the state store, the process table, the cluster and the work tree."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controllers.commands.project import Project
from controllers.revision.acceptance import told
from controllers.revision.in_force import newest
from controllers.revision.snapshot import Snapshot
from framework.api.errors import MlopsError, SpecError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.grammar.changes import Desired
from framework.planning.reports.asked import Asked, Stand, Uncommitted
from framework.planning.reports.convergence import Withheld
from framework.planning.reports.newer import newer_data
from framework.planning.reports.oversight import Oversight, oversee
from framework.planning.reports.overview import StatusReport, StatusRow, report, rows
from framework.planning.reports.why import Explanation, why
from framework.ports import Outage, Recorded, Revision
from framework.process import dead, machine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Situation:
    """``desired`` is what git asks for, or, while that cannot be read, what is in force; None where neither can."""

    desired: Mapping[Ref, Desired[Any]] | None
    recorded: Recorded
    revisions: Sequence[Revision]
    asked: Asked
    withheld: Withheld | None
    oversight: Oversight
    uncommitted: Uncommitted | None
    now: datetime
    environment: str

    def report(self) -> StatusReport:
        newer = newer_data(self.desired or {}, self.recorded.readable, KINDS)
        return report(
            self.environment, self.desired, self.recorded.readable, self.revisions, self.now, self.withheld,
            self.recorded.unreadable, asked=self.asked, oversight=self.oversight, uncommitted=self.uncommitted,
            newer=newer,
        )  # fmt: skip

    def checked(self, row: StatusRow, project: Project) -> StatusRow:
        """``row`` with what came of its expectations, as far as that can be read."""
        look = project.observers[row.ref.kind].checked
        try:
            return replace(row, checked=look(row.ref, (self.desired or {}).get(row.ref), project.ports))
        except MlopsError as error:
            log.warning("left out: %s", error)
            return row

    def why(self, ref: Ref) -> Explanation:
        """Raises LookupError where neither git nor a record knows ``ref``."""
        found = rows(
            self.desired, self.recorded.readable, self.now, self.withheld, self.recorded.unreadable,
            asked=self.asked, oversight=self.oversight,
        )  # fmt: skip
        return why(ref, found, self.oversight)


def situation(project: Project) -> Situation:
    """Changes nothing. Raises what the state store raises."""
    oversight = _oversight(project)  # before the records: who looked must have seen what they say, or less
    revisions = newest(project.ports.state)
    loaded, asked = _asked(project, revisions)
    withheld = project.withheld(loaded) if loaded is not None and asked.stand is Stand.NEW else None
    if withheld is not None:
        asked = Asked(Stand.WITHHELD, asked.commit, asked.subject, (withheld.message,))
    held_against = loaded or _in_force(project, revisions)
    desired = held_against.desired if held_against else None
    return Situation(
        desired=desired,
        recorded=project.ports.state.recorded(),
        revisions=revisions,
        asked=asked,
        withheld=withheld,
        oversight=oversight,
        uncommitted=project.uncommitted(desired or {}),
        now=oversight.now,
        environment=project.settings.environment,
    )


def _asked(project: Project, revisions: Sequence[Revision]) -> tuple[Snapshot | None, Asked]:
    """The newest commit, where it can be read, and how it stands apart from what may keep a valid one waiting."""
    source = project.ports.source
    try:
        commit = source.resolve(project.settings.revision)
    except MlopsError as error:
        return None, Asked(Stand.UNREADABLE, problems=(str(error),))
    accepted = next((item for item in revisions if item.accepted), None)
    known = next((item for item in revisions if item.commit == commit), None)
    refused = known.problems if known is not None and not known.accepted else None
    try:
        loaded = project.read(commit)
    except SpecError as error:
        stand = Stand.WRONG if refused is None else Stand.REFUSED
        return None, Asked(stand, commit, _subject(project, commit), refused or told(error.problems))
    except MlopsError as error:
        return None, Asked(Stand.UNREADABLE, commit, problems=(str(error),))
    if refused is not None:
        return loaded, Asked(Stand.REFUSED, commit, loaded.subject, refused)
    stand = Stand.IN_FORCE if accepted is not None and accepted.commit == commit else Stand.NEW
    return loaded, Asked(stand, commit, loaded.subject)


def _subject(project: Project, commit: str) -> str:
    try:
        return project.ports.source.info(commit).subject
    except MlopsError:
        return ""


def _in_force(project: Project, revisions: Sequence[Revision]) -> Snapshot | None:
    accepted = next((item for item in revisions if item.accepted), None)
    if accepted is None:
        return None
    try:
        return project.read(accepted.commit)
    except MlopsError as error:
        log.warning("commit %s, which is in force, cannot be read: %s", accepted.commit[:7], error)
        return None


def _oversight(project: Project) -> Oversight:
    heartbeat = project.ports.state.heartbeat()
    process = heartbeat.process if heartbeat is not None else {}
    trouble, now = project.cluster.trouble(), project.clock()
    return oversee(
        heartbeat,
        gone=dead(process),
        here=process.get("machine") is not None and process["machine"] == machine(),
        probe=Outage(since=now, message=trouble) if trouble else None,
        now=now,
    )
