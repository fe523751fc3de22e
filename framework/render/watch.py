"""Who looks at an environment and whether Ray answers: for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from framework.planning.reports.oversight import Oversight, Presence, stamp
from framework.ports import Heartbeat, Outage
from framework.render.diffs import QUIET
from framework.render.terminal import LONGEST_MESSAGE, Line, one_line, paragraph
from framework.render.wording import ago, some

_START = "mlopsctl up starts one"


def watch_lines(oversight: Oversight, width: int) -> list[Line]:
    """One line about the controller, one about Ray, and one for each thing that is wrong with the controller."""
    lines: list[Line] = []
    for text, style in (_controller(oversight), *_troubles(oversight), _ray(oversight)):
        lines += paragraph(one_line(text, LONGEST_MESSAGE), width=width, style=style)
    return lines


def _controller(oversight: Oversight) -> tuple[str, str]:
    beat = oversight.heartbeat
    if beat is None:
        return f"Controller: none has ever looked ({_START})", "yellow"
    heard = _since(oversight, oversight.now - beat.time)
    match oversight.presence:
        case Presence.AT_WORK:
            return f"Controller: {_named(beat, oversight.here)}; {_looks(beat, oversight)}", QUIET
        case Presence.ENDED:
            return f"Controller: none runs ({_START}); the last one ended {heard}", "yellow"
        case Presence.DIED:
            return f"Controller: pid {beat.process.get('pid')} died ({_START}); it was last heard of {heard}", "red"
        case _ if beat.time > oversight.now:
            return f"Controller: what {beat.holder} said last is dated {stamp(beat.time)}, after now", "red"
        case _:
            return f"Controller: {beat.holder} was last heard of {heard}", "red"


def _named(beat: Heartbeat, here: bool) -> str:
    pid, host = beat.process.get("pid"), beat.process.get("host")
    if pid is None:
        return beat.holder
    return f"pid {pid} on {'this machine' if here else host}"


def _looks(beat: Heartbeat, oversight: Oversight) -> str:
    seen = beat.seen
    if seen is None:
        return "it has not looked at everything yet"
    others = "everything else" if beat.late else "everything"
    told = f"{others} was looked at {_within(oversight.now - seen)}"
    if not beat.late:
        return told
    names = [one_line(name if at else f"{name} (not yet)") for name, at in sorted(beat.late.items())]
    return f"not lately looked at: {some(names)}; {told}"


def _within(age: timedelta) -> str:
    found = ago(age)
    return found if found == "just now" else f"within the last {found.removesuffix(' ago')}"


def _troubles(oversight: Oversight) -> Iterator[tuple[str, str]]:
    beat = oversight.heartbeat
    if beat is None or oversight.presence is not Presence.AT_WORK:
        return
    for what, outage, style in (
        ("git cannot be read", beat.source, "red"),
        ("the controller is in trouble", beat.loop, "red"),
        ("models are not mirrored", beat.mirror, "yellow"),
    ):
        if outage is not None:
            yield f"Since {stamp(outage.since)} {what}: {outage.message}", style


def _ray(oversight: Oversight) -> tuple[str, str]:
    outage = oversight.cluster
    if outage is None:
        return "Ray: answers", QUIET
    since = oversight.now - outage.since
    when = "now" if since < timedelta(seconds=1) else f"since {stamp(outage.since)}, {ago(since)}"
    return f"Ray: does not answer {when}: {outage.message}", "red"


def _since(oversight: Oversight, age: timedelta) -> str:
    moment = oversight.heartbeat.time if oversight.heartbeat else oversight.now
    return f"{ago(age)}, at {stamp(moment)}"


def controller_document(oversight: Oversight | None) -> dict[str, Any] | None:
    """``looked_at``: everything was looked at since then, except for ``late``; ``fresh_seconds``: how long ago a look
    may be and still count."""
    if oversight is None:
        return None
    beat = oversight.heartbeat
    return {
        "presence": oversight.presence,
        "here": oversight.here,
        "fresh_seconds": oversight.bound,
        "holder": beat.holder if beat else None,
        "host": beat.process.get("host") if beat else None,
        "pid": beat.process.get("pid") if beat else None,
        "started": beat.started if beat else None,
        "heard": beat.time if beat else None,
        "ended": beat.ended if beat else None,
        "looked_at": beat.seen if beat else None,
        "late": beat.late if beat else {},
        "commit": (beat.commit or None) if beat else None,
        "newest": (beat.newest or None) if beat else None,
        "note": beat.note if beat else "",
        "git": beat.source if beat else None,
        "trouble": beat.loop if beat else None,
        "mirror": beat.mirror if beat else None,
    }


def ray_document(oversight: Oversight | None) -> dict[str, Any] | None:
    if oversight is None:
        return None
    outage: Outage | None = oversight.cluster
    return {
        "answers": outage is None,
        "since": outage.since if outage else None,
        "message": outage.message if outage else "",
    }
