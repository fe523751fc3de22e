"""What a source is at a commit depends on the commit alone, whatever lies in the work tree; what is in no commit counts
as it lies."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backends.memory import MemorySource
from framework.ports import SourceData
from framework.sources.catalog import GitSources
from framework.sources.contents import Contents

PATHS = ("data/a.csv", "data/b.csv", "data/ü x.csv", "data/sub/c.csv", "data/.hidden.csv", "other/a.csv")
NAMED = {"data/*.csv": PATHS[:3], "data/**/*.csv": PATHS[:4], "data": PATHS[:3], "*/a.csv": (PATHS[0], PATHS[5])}
files = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["", "1", "2\n", "3\r\n"]))


@settings(max_examples=60, deadline=None)
@given(commit=files, folder=files, tracked=st.frozensets(st.sampled_from(PATHS)), path=st.sampled_from(sorted(NAMED)))
def test_a_source_is_what_the_commit_has_and_what_is_in_none(
    commit: dict[str, str], folder: dict[str, str], tracked: frozenset[str], path: str
) -> None:
    """``tracked``: what git tracks in the folder, at whichever commit that is."""
    untracked = {label: text for label, text in folder.items() if label not in commit and label not in tracked}
    wanted = {label: text for label, text in sorted({**untracked, **commit}.items()) if label in NAMED[path]}
    with tempfile.TemporaryDirectory() as place:
        root, source = Path(place, "project"), MemorySource()
        for label, text in folder.items():
            (root / label).parent.mkdir(parents=True, exist_ok=True)
            (root / label).write_bytes(text.encode())
        root.mkdir(exist_ok=True)
        catalog = GitSources(source, Contents(), lambda root: tracked, f"{place}/store")
        asked = {"rows": {"format": "csv", "path": path}}
        sha = source.commit({**commit, "readme": ""})
        if not wanted:
            assert _nothing(catalog, asked, root, sha)
            return
        held = catalog.held(asked, str(root), sha)
        assert [file.label for file in held.files["rows"]] == list(wanted)
        located = catalog.located(held, asked, str(root), sha)
        assert located.digest == held.digest
        catalog.export(located.files["rows"])
        assert [Path(file.uri).read_bytes().decode() for file in located.files["rows"]] == list(wanted.values())
        assert [file.size for file in located.files["rows"]] == [len(text.encode()) for text in wanted.values()]
        assert _digest_of(wanted) == held.digest, "the same bytes in that order have that name, wherever they lie"


def _nothing(catalog: GitSources, asked: dict[str, dict[str, str]], root: Path, sha: str) -> bool:
    try:
        catalog.held(asked, str(root), sha)  # type: ignore[arg-type]
    except Exception as error:
        return getattr(error, "reason", "") == "SourceMissing"
    return False


def _digest_of(texts: dict[str, str]) -> str:
    source = MemorySource()
    sha = source.commit({f"moved/{number:03}": text for number, text in enumerate(texts.values())})
    catalog = GitSources(source, Contents(), lambda root: frozenset(), "memory://store")
    found: SourceData = catalog.held({"rows": {"path": "moved/*"}}, "/nowhere", sha)
    return found.digest
