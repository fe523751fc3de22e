"""What every SourceCatalog promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from framework.api.errors import TerminalError
from framework.backends.memory import SymbolicLink
from framework.ports import SourceCatalog, SourceFile


@dataclass(frozen=True)
class SourcesWorld:
    """``commit`` makes files all that a new commit holds, and gives its name; ``write`` puts a file into the project's
    folder, or takes it away. What was committed lies there only once it was written."""

    catalog: SourceCatalog
    root: str
    commit: Callable[[Mapping[str, str | SymbolicLink]], str]
    write: Callable[[str, str | None], None]

    def files(self, commit: str, path: str, **options: Any) -> list[SourceFile]:
        sources = {"rows": {"format": "csv", "path": path, "options": options}}
        return list(self.catalog.held(sources, self.root, commit).files["rows"])

    def labels(self, commit: str, path: str) -> list[str]:
        return [file.label for file in self.files(commit, path)]

    def digest(self, commit: str, *, hive: bool = False, **paths: str) -> str:
        options = {"hivePartitioning": hive}
        sources = {name: {"format": "parquet", "path": path, "options": options} for name, path in paths.items()}
        return self.catalog.held(sources, self.root, commit).digest


class SourceCatalogContract:
    """Subclass it and provide a fixture ``world``."""

    def test_a_file_of_the_commit_is_what_the_commit_has_whatever_lies_there(self, world: SourcesWorld) -> None:
        commit = world.commit({"data/a.csv": "x\n1\n"})
        before, digest = world.files(commit, "data/a.csv"), world.digest(commit, rows="data/a.csv")
        assert before == [SourceFile(label="data/a.csv", digest="git:5cb1a1ef92c35187232d20bbd698dfd5e1593d46", size=4)]
        for text in ("x\n1\n", "x\n2\n", None):
            world.write("data/a.csv", text)
            assert world.files(commit, "data/a.csv") == before
            assert world.digest(commit, rows="data/a.csv") == digest

    def test_commits_that_differ_there_hold_different_data_and_the_same_again_the_same(
        self, world: SourcesWorld
    ) -> None:
        texts = ["x\n1\n", "x\n2\n", "x\n1\n"]
        first, second, third = (world.digest(world.commit({"a.csv": text}), rows="a.csv") for text in texts)
        assert first == third != second

    def test_bytes_have_one_name_wherever_they_come_from(self, world: SourcesWorld) -> None:
        tracked = world.digest(world.commit({"a.csv": "x\n1\n"}), rows="a.csv")
        world.write("b.csv", "x\n1\n")
        assert world.digest(world.commit({}), rows="b.csv") == tracked

    def test_another_name_is_no_other_data_but_where_names_are_data(self, world: SourcesWorld) -> None:
        before = world.commit({"d/year=1/a": "x"})
        after = world.commit({"d/year=2/a": "x"})
        assert world.digest(before, rows="d/*/a") == world.digest(after, rows="d/*/a")
        assert world.digest(before, hive=True, rows="d/*/a") != world.digest(after, hive=True, rows="d/*/a")

    def test_patterns_see_files_of_the_commit_and_those_that_are_in_none_in_order(self, world: SourcesWorld) -> None:
        world.write("data/b.csv", "lying")
        world.write("data/.hidden.csv", "")
        commit = world.commit({"data/a.csv": "1", "data/c.csv": "3", "data/.d.csv": "", "data/sub/e.csv": "5"})
        for path in ("data/*.csv", "data"):
            assert world.labels(commit, path) == ["data/a.csv", "data/b.csv", "data/c.csv"]
        assert world.labels(commit, "data/**/*.csv") == ["data/a.csv", "data/b.csv", "data/c.csv", "data/sub/e.csv"]
        assert world.labels(commit, "*/sub") == ["data/sub/e.csv"]
        before = world.digest(commit, rows="data/*.csv")
        world.write("data/b.csv", "other")
        assert world.digest(commit, rows="data/*.csv") != before

    def test_a_file_of_that_very_name_goes_before_a_pattern(self, world: SourcesWorld) -> None:
        commit = world.commit({"r[1].csv": "1", "r1.csv": "2"})
        assert world.labels(commit, "r[1].csv") == ["r[1].csv"]
        assert world.labels(world.commit({"r1.csv": "2"}), "r[1].csv") == ["r1.csv"]

    def test_links_are_followed_inside_the_project_and_never_out_of_it(self, world: SourcesWorld) -> None:
        commit = world.commit(
            {
                "data/v1/a.csv": "1", "now": SymbolicLink("data/v1"), "a.csv": SymbolicLink("now/a.csv"),
                "out.csv": SymbolicLink("/etc/hostname"), "up": SymbolicLink("../x"), "loop": SymbolicLink("loop"),
            }
        )  # fmt: skip
        direct = world.digest(commit, rows="data/v1/a.csv")
        assert world.digest(commit, rows="now/*.csv") == world.digest(commit, rows="a.csv") == direct
        for path in ("out.csv", "up/a.csv", "loop"):
            with pytest.raises(TerminalError) as raised:
                world.files(commit, path)
            assert raised.value.reason == "PathOutsideRoot"

    def test_a_pointer_of_dvc_names_what_lies_elsewhere(self, world: SourcesWorld) -> None:
        note = "outs:\n- md5: {}\n  size: 4\n  hash: md5\n  path: a.csv\n"
        first, second = (world.commit({"data/a.csv.dvc": note.format(digit * 32)}) for digit in "12")
        for path in ("data/a.csv", "data/*.csv", "data"):
            assert world.files(first, path) == [SourceFile(label="data/a.csv", digest=f"md5:{'1' * 32}", size=4)]
        world.write("data/a.csv", "x\n1\n")
        assert world.digest(first, rows="data/a.csv") != world.digest(second, rows="data/a.csv")

    def test_a_pointer_of_git_lfs_names_what_lies_elsewhere(self, world: SourcesWorld) -> None:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12\n"
        commit = world.commit({"a.csv": text})
        assert world.files(commit, "a.csv") == [SourceFile(label="a.csv", digest=f"sha256:{'a' * 64}", size=12)]

    def test_the_digest_is_of_what_is_asked_for_alone(self, world: SourcesWorld) -> None:
        commit = world.commit({"data/a.csv": "1", "data/b.csv": "2"})
        digests = [
            world.digest(commit, rows="data/a.csv"), world.digest(commit, rows="data/b.csv"),
            world.digest(commit, other="data/a.csv"), world.digest(commit, rows="data/a.csv", other="data/b.csv"),
        ]  # fmt: skip
        assert len(set(digests)) == len(digests)
        more = world.commit({"data/a.csv": "1", "data/b.csv": "3", "else.csv": ""})
        assert world.digest(more, rows="data/a.csv") == digests[0]

    @pytest.mark.parametrize("path", ["data/missing.csv", "data/missing-*.csv"])
    def test_a_missing_source_is_named(self, world: SourcesWorld, path: str) -> None:
        commit = world.commit({"data/flights.csv": "a\n1\n"})
        with pytest.raises(TerminalError) as raised:
            world.digest(commit, flights="data/flights.csv", planes=path)
        assert raised.value.reason == "SourceMissing"
        assert "source planes" in str(raised.value)
        assert path in str(raised.value)

    def test_sources_that_are_no_files_have_no_digest(self, world: SourcesWorld) -> None:
        commit = world.commit({})
        for sources in ({"weather": {"featureView": "hourly"}, "made": {"function": "a.b:c"}}, {}):
            assert world.catalog.held(sources, world.root, commit).digest == ""
