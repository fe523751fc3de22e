"""A word that another resource explains: what is asked for changes where its meaning does, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from framework.api.meta import Ref
from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.planning.grammar.changes import Desired
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.cache.store import Store
from framework.specs.read import read_snapshot
from tests.unit.specs.conftest import COMMITTED, Project

JOB, DEPLOYMENT = Ref("TrainingJob", "late"), Ref("ModelDeployment", "late")
ONE, OTHER = '"0123456789"', '"9876543210"'


def follows(project: Project, **aliases: str) -> None:
    """The job has these aliases, and the deployment asks for the one that is called stable."""
    for file in ("training/late.yaml", "deployments/late.yaml"):
        (project.root / "specs" / file).unlink(missing_ok=True)
    named = ", ".join(f"{name}: {target}" for name, target in aliases.items())
    project.edit("training/late.yaml", ("timeout: 1h", f"timeout: 1h\n  aliases: {{{named}}}"))
    project.edit("deployments/late.yaml", ("training: late", "training: late, version: stable"))


def test_what_asks_for_an_alias_asks_for_another_version_once_that_moves(project: Project) -> None:
    follows(project, stable=ONE, other=ONE)
    before = project.snapshot().desired
    follows(project, stable=OTHER, other=ONE)
    after = project.snapshot().desired
    assert before[DEPLOYMENT].meanings == {"model.version": "0123456789"}
    assert after[DEPLOYMENT].meanings == {"model.version": "9876543210"}
    assert before[DEPLOYMENT].identity != after[DEPLOYMENT].identity
    assert before[JOB].identity == after[JOB].identity
    follows(project, stable=OTHER, other=OTHER)
    same = project.snapshot().desired[DEPLOYMENT]
    assert (same.identity, same.digest) == (after[DEPLOYMENT].identity, after[DEPLOYMENT].digest)
    follows(project, stable="other", other=OTHER)
    assert project.snapshot().desired[DEPLOYMENT].identity == same.identity


def test_it_does_not_change_who_asks_for_none(project: Project) -> None:
    plain = project.snapshot().desired[DEPLOYMENT]
    project.edit("training/late.yaml", ("timeout: 1h", f"timeout: 1h\n  aliases: {{stable: {ONE}}}"))
    named = project.snapshot().desired[DEPLOYMENT]
    assert (named.identity, named.digest, named.meanings) == (plain.identity, plain.digest, {})


def test_an_environment_may_move_it_for_itself(project: Project) -> None:
    follows(project, stable=ONE)
    target = f"{{target: {{kind: TrainingJob, name: late}}, patch: {{aliases: {{stable: {OTHER}}}}}}}"
    project.write(
        "environments/prod.yaml",
        f"apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {{name: prod}}\nspec: {{patches: [{target}]}}\n",
    )
    assert project.snapshot("prod").desired[DEPLOYMENT].meanings == {"model.version": "9876543210"}
    assert project.snapshot("local").desired[DEPLOYMENT].meanings == {"model.version": "0123456789"}


def test_what_was_kept_of_it_says_the_same(tmp_path: Path) -> None:
    """A process that reads nothing but what another one kept, and then one thing more."""
    source = MemorySource()
    follows_it = {
        **COMMITTED,
        "specs/deployments/late.yaml": COMMITTED["specs/deployments/late.yaml"].replace(
            "training: late", "training: late, version: stable"
        ),
    }

    def at(target: str) -> str:
        job = COMMITTED["specs/training/late.yaml"].replace("timeout: 1h", f"aliases: {{stable: {target}}}")
        return source.commit({**follows_it, "specs/training/late.yaml": job})

    def read(commit: str, cache: ParseCache | None = None) -> Desired[object]:
        return read_snapshot(source, commit, "specs", "local", KINDS, cache=cache).desired[DEPLOYMENT]

    first, second = at(ONE), at(OTHER)
    kept = read(first, ParseCache(Store(tmp_path), few=0))
    cache = ParseCache(Store(tmp_path), few=0)
    again, moved = read(first, cache), read(second, cache)
    assert (again.meanings, again.identity) == (kept.meanings, kept.identity)
    assert (moved.meanings, moved.identity) == (read(second).meanings, read(second).identity)
    assert moved.identity != again.identity
