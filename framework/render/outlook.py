"""What a plan comes to, in words: what will run and for how long, on what, and who notices."""

from __future__ import annotations

from collections.abc import Iterator

from framework.planning.grammar.forecast import Endpoint, Forecast, Work
from framework.render.diffs import QUIET
from framework.render.terminal import Line, Span, cells, columns, headings, paragraph, under
from framework.render.wording import count, lasting

ALL_AT_ONCE = 100


def work_lines(forecast: Forecast, width: int) -> list[Line]:
    """The table of what will run, and what it sums up to; nothing where nothing will."""
    if not forecast.work:
        return []
    rows = columns([headings("  stage", "what", "takes", "holds", "", style=QUIET), *map(_work, forecast.work)])
    if max(sum(cells(span.text) for span in row) for row in rows) > width:
        rows = list(_stacked(forecast, width))
    lines: list[Line] = [(Span("What will run", "bold"),), *rows]
    duration, peak = totals(forecast)
    lines += paragraph(duration, width=width, indent="  ")
    lines += paragraph(peak, width=width, indent="  ", style="yellow" if forecast.lacking else "")
    return [*lines, ()]


def _work(item: Work) -> Line:
    return (
        Span(f"  {item.stage:<5}"),
        Span(f"{item.what} {item.ref}"),
        Span(takes_words(item)),
        Span(holds_words(item.cpus, item.gpus)),
        Span(item.basis, QUIET),
    )


def _stacked(forecast: Forecast, width: int) -> Iterator[Line]:
    """The same for a narrow terminal: two lines each, or more where even they do not fit."""
    for item in forecast.work:
        yield from under("", f"{item.what} {item.ref}", lead=f"  {item.stage:<3}", stem=" " * 5, width=width)
        holds = holds_words(item.cpus, item.gpus)
        told = f"{takes_words(item)}{f', {holds}' if holds else ''}"
        yield from under(told, f"  {item.basis}", lead=" " * 5, stem=" " * 5, width=width)


def takes_words(item: Work) -> str:
    """``about 3m``; ``unknown`` where nothing like it ever ran."""
    if item.seconds is None:
        return "unknown"
    return f"about {lasting(item.seconds)}" if item.seconds else "at once"


def holds_words(cpus: float, gpus: float) -> str:
    """``2 CPUs, 1 GPU``; empty for nothing."""
    parts = [
        f"{amount:g} {name}{'' if amount == 1 else 's'}" for amount, name in ((cpus, "CPU"), (gpus, "GPU")) if amount
    ]
    return ", ".join(parts)


def totals(forecast: Forecast) -> tuple[str, str]:
    """Two sentences for what the work sums up to: how long, and how much at a time."""
    if forecast.seconds is None:
        unknown = sum(item.seconds is None for item in forecast.work)
        duration = f"In all: unknown, because {count(unknown, 'duration is', 'durations are')} unknown"
    else:
        duration = f"In all: about {lasting(forecast.seconds)} until the last is done"
    if forecast.gpu_hours is None:
        duration += "; GPU-hours unknown"
    elif forecast.gpu_hours:
        duration += f"; {_hours(forecast.gpu_hours)} GPU-hours"
    extra = holds_words(forecast.extra_cpus, forecast.extra_gpus)
    peak = f"At the peak: {extra} more than now" if extra else "At the peak: no more than now"
    return (f"{duration}.", f"{peak}; {fits(forecast)}.")


def fits(forecast: Forecast) -> str:
    """Whether the cluster has what is needed, in words."""
    if forecast.lacking:
        return f"does not fit: {'; '.join(forecast.lacking)}"
    if forecast.capacity is None:
        return "nobody looked whether that fits"
    free = ", ".join(
        f"{forecast.capacity.free.get(name, 0.0):g} of {total:g} {name}s"
        for name, total in sorted(forecast.capacity.total.items())
        if total
    )
    return f"fits: {free} are free" if free else "fits"


def endpoint_lines(forecast: Forecast, width: int) -> list[Line]:
    """Whose answers may change, and how many of the requests meet that first; nothing where nobody notices."""
    if not forecast.endpoints:
        return []
    table = [
        (Span(f"  {item.ref}"), Span(item.route), Span(share_words(item), QUIET), Span(first_words(item)))
        for item in forecast.endpoints
    ]
    rows = columns(table)
    if max(sum(cells(span.text) for span in row) for row in rows) > width:
        rows = []
        for item in forecast.endpoints:
            rows += under(f"{item.ref}  {item.route}", "", lead="  ", stem=" " * 5, width=width)
            rows += under(f"{share_words(item)}; ", first_words(item), lead=" " * 5, stem=" " * 5, width=width)
    return [(Span("Who notices", "bold"),), *rows, ()]


def share_words(item: Endpoint) -> str:
    """``82 % of all requests``; where none were counted, that."""
    if item.share is None:
        return "no requests counted"
    percent = item.share * 100
    return f"{percent:.0f} % of all requests" if percent >= 1 or percent == 0 else "under 1 % of all requests"


def first_words(item: Endpoint) -> str:
    """How many of its callers meet the change first, or what becomes of their route."""
    if item.note:
        return item.note
    if item.first_weight >= ALL_AT_ONCE:
        return "all of its callers at once"
    return f"{item.first_weight} % of its callers first"


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"
