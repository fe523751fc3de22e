"""A page of all feature views of an environment, that can be searched without a server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime

from framework.api.printing import shown
from framework.planning.reports.features import ViewRow
from framework.render.canonical import document
from framework.render.features import FORMAT
from framework.render.wording import count, second, span

PAGE = "index.html"

_SEARCH = """
const box = document.getElementById("search"), none = document.getElementById("none");
const views = Array.from(document.querySelectorAll("article"));
function search() {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let found = 0;
  for (const view of views) {
    const text = view.textContent.toLowerCase();
    const shows = words.every(word => text.includes(word));
    view.hidden = !shows;
    found += shows ? 1 : 0;
  }
  none.hidden = found > 0;
}
box.addEventListener("input", search);
search();
"""
"""It reads what the page shows and nothing else."""


def page_of(view: str) -> str:
    """The file of a view's page in the folder of the catalogue."""
    return f"view-{view}.html"


def catalogue_html(environment: str, rows: Sequence[ViewRow], now: datetime) -> str:
    """The whole page. The one script on it is named by its hash, and no other may run."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    pages = Environment(
        loader=PackageLoader("framework.render"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["shown"] = shown
    digest = base64.b64encode(hashlib.sha256(_SEARCH.encode()).digest()).decode()
    views = [{"row": row, "page": page_of(row.name), "facts": _facts(row, now)} for row in rows]
    script = Markup(_SEARCH)  # noqa: S704 (a constant of this module)
    return pages.get_template("catalogue.html.j2").render(
        environment=environment, views=views, script=script, digest=digest, made=second(now)
    )


def _facts(row: ViewRow, now: datetime) -> str:
    """``version 3, 1,000 rows, newest event 2d ago, fresh``."""
    if row.version is None:
        return row.problem or "not published"
    told = [f"version {row.version.label}", count(row.version.state.rows, "row")]
    if row.newest is not None:
        told.append(
            f"newest event {span(now - row.newest)} ago" if row.newest <= now else "newest event ahead of the clock"
        )
    return ", ".join(filter(None, (*told, row.freshness(now))))


def catalogue_text(folder: str, files: Sequence[str]) -> str:
    return f"{folder}: wrote {files[0]} and {count(len(files) - 1, 'page')} of views.\n"


def catalogue_json(folder: str, files: Sequence[str]) -> str:
    return document({"format": FORMAT, "folder": folder, "files": list(files)})
