"""What every SpecWriter promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest

from framework.api.errors import ConfigurationError, ConflictError
from framework.backends.memory import SymbolicLink
from framework.ports import Proposal, SpecWriter

Files = Mapping[str, str | SymbolicLink]

BEFORE: Files = {
    "specs/a.yaml": "a: 1  # why\n",
    "specs/b.yaml": "b: 1\n",
    "specs/deep/c.yaml": "c: 1\n",
    "code/x.py": "x = 1\n",
}


@dataclass(frozen=True)
class WriterWorld:
    """``commit`` makes ``files`` all there is on ``main`` where the writer's branches are; the others look there."""

    writer: SpecWriter
    commit: Callable[[Files], str]
    head: Callable[[str], str | None]
    files: Callable[[str], Files]
    """Of a commit."""
    parent: Callable[[str], str | None]
    remote: bool = False


def change(base: str, branch: str = "mlopsctl/change", **more: bytes | None) -> Proposal:
    files = {f"specs/{name}.yaml": data for name, data in more.items()}
    return Proposal(base, branch, "Change a\n\nBecause.", files)


class WriterContract:
    """Subclass it and provide a fixture ``world``."""

    def test_a_proposal_is_one_commit_on_a_new_branch(self, world: WriterWorld) -> None:
        base = world.commit(BEFORE)
        done = world.writer.propose(change(base, a="a: 2  # ä\n".encode(), b=None, new=b"new: 1\n"))
        assert (done.branch, done.pushed) == ("mlopsctl/change", world.remote)
        assert world.head("mlopsctl/change") == done.commit
        assert world.head("main") == base
        assert world.parent(done.commit) == base
        expected = {**BEFORE, "specs/a.yaml": "a: 2  # ä\n", "specs/new.yaml": "new: 1\n"}
        del expected["specs/b.yaml"]
        assert world.files(done.commit) == expected
        assert world.files(base) == BEFORE

    def test_a_branch_that_stands_at_the_base_moves_on(self, world: WriterWorld) -> None:
        base = world.commit(BEFORE)
        first = world.writer.propose(change(base, a=b"a: 2\n"))
        second = world.writer.propose(replace(change(first.commit, a=b"a: 3\n")))
        assert world.head("mlopsctl/change") == second.commit
        assert world.parent(second.commit) == first.commit

    def test_a_branch_that_moved_is_left_alone(self, world: WriterWorld) -> None:
        base = world.commit(BEFORE)
        first = world.writer.propose(change(base, a=b"a: 2\n"))
        with pytest.raises(ConflictError, match="mlopsctl/change"):
            world.writer.propose(change(base, a=b"a: 3\n"))
        assert world.head("mlopsctl/change") == first.commit

    def test_the_same_proposal_again_is_the_same_commit(self, world: WriterWorld) -> None:
        base = world.commit(BEFORE)
        first = world.writer.propose(change(base, a=b"a: 2\n"))
        assert world.writer.propose(change(base, a=b"a: 2\n")) == first
        assert world.head("mlopsctl/change") == first.commit

    def test_what_changes_nothing_makes_nothing(self, world: WriterWorld) -> None:
        base = world.commit(BEFORE)
        for proposal in (
            change(base),
            change(base, a=b"a: 1  # why\n", missing=None),
            Proposal(base, "mlopsctl/change", "x", folders={"specs": base}),
        ):
            done = world.writer.propose(proposal)
            assert (done.commit, done.pushed) == (base, False)
        assert world.head("mlopsctl/change") is None

    def test_a_folder_becomes_what_it_was_with_what_has_gone_and_without_what_came(self, world: WriterWorld) -> None:
        first = world.commit(BEFORE)
        base = world.commit(
            {"specs/a.yaml": "a: 9\n", "specs/extra/d.yaml": "d: 1\n", "specs/deep": "a file\n", "code/x.py": "x = 9\n"}
        )
        done = world.writer.propose(Proposal(base, "mlopsctl/rollback", "Back", folders={"specs": first}))
        assert world.files(done.commit) == {**BEFORE, "code/x.py": "x = 9\n"}
        done = world.writer.propose(Proposal(base, "mlopsctl/all", "Back", folders={"": first}))
        assert world.files(done.commit) == BEFORE

    def test_files_are_set_on_top_of_folders(self, world: WriterWorld) -> None:
        first = world.commit(BEFORE)
        base = world.commit({"specs/a.yaml": "a: 9\n"})
        files = {"specs/a.yaml": b"a: 10\n", "specs/b.yaml": None}
        done = world.writer.propose(Proposal(base, "mlopsctl/rollback", "Back", files, {"specs": first}))
        assert world.files(done.commit) == {"specs/a.yaml": "a: 10\n", "specs/deep/c.yaml": "c: 1\n"}

    def test_a_folder_that_was_not_there_goes(self, world: WriterWorld) -> None:
        first = world.commit({"code/x.py": "x = 1\n"})
        base = world.commit(BEFORE)
        done = world.writer.propose(Proposal(base, "mlopsctl/rollback", "Back", folders={"specs": first}))
        assert world.files(done.commit) == {"code/x.py": "x = 1\n"}

    @pytest.mark.parametrize("branch", ["", "-x", "a..b", "HEAD", "a b", "refs/heads/x:y", "x.lock", "0" * 40])
    def test_unsafe_branches_are_refused(self, world: WriterWorld, branch: str) -> None:
        base = world.commit(BEFORE)
        with pytest.raises(ConfigurationError, match="is not a name for a branch"):
            world.writer.propose(change(base, branch, a=b"a: 2\n"))

    @pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "specs/../../x", "a\0b", "", "."])
    def test_paths_stay_inside(self, world: WriterWorld, path: str) -> None:
        base = world.commit(BEFORE)
        with pytest.raises(ConfigurationError):
            world.writer.propose(Proposal(base, "mlopsctl/change", "x", {path: b"x"}))
        assert world.head("mlopsctl/change") is None

    def test_commits_that_nobody_has_are_refused(self, world: WriterWorld) -> None:
        base = world.commit(BEFORE)
        for proposal in (
            change("1" * 40, a=b"a: 2\n"),
            Proposal(base, "mlopsctl/change", "x", folders={"specs": "1" * 40}),
        ):
            with pytest.raises(ConfigurationError, match="1111111"):
                world.writer.propose(proposal)

    def test_a_link_is_not_written_through(self, world: WriterWorld) -> None:
        base = world.commit({**BEFORE, "specs/out.yaml": SymbolicLink("/etc/passwd")})
        with pytest.raises(ConfigurationError, match="is not a regular file"):
            world.writer.propose(change(base, out=b"x"))
