"""mlopsctl validate: every mistake in the specs at once. Reads files as they are on disk; needs no git, no cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import click

from controllers.cli.options import chosen_environment
from controllers.cli.redaction import aside
from controllers.cli.specfiles import ensure_spec_files

EXIT_INVALID = 1


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--output",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="github: annotations of a pull request. sarif: for code scanning.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where there are warnings, too. For CI.")
@click.option("--quiet", is_flag=True, help="Say nothing where all is well, and equal warnings once.")
@click.pass_context
def validate(context: click.Context, paths: tuple[Path, ...], output: str, strict: bool, quiet: bool) -> None:
    """Check specs, committed or not: syntax, fields, references, user code, and each Environment's patches.

    Without PATHS the project's mlops_specs are checked. With PATHS only problems in those files and folders are told,
    though everything they may refer to is read. Exits with 0 when all is well, with 1 when there are errors.
    """
    from controllers.examination import Examiner, Memory
    from controllers.examination.trees import WorkTree
    from controllers.host.operator import allowed_paths
    from controllers.settings import Settings
    from framework import __version__
    from framework.kinds import KINDS
    from framework.specs import report
    from framework.specs.cache.parse_cache import cache_for
    from framework.specs.read import check
    from framework.specs.worktree import WORKTREE, WorktreeSource

    root = project_root((context.obj or {}).get("project"), paths)
    settings = Settings(root=root, allowed_paths=allowed_paths(os.environ))
    specs, cache = settings.specs, cache_for(root, "framework.kinds:KINDS")
    wanted = [_below(path, root) for path in paths]
    ensure_spec_files(paths)
    folders = _folders(wanted, specs)
    memory = Memory(settings.folder / "cache", makes=True)
    examiner, tree, unseen = Examiner(memory), WorkTree(root), dict[str, None]()

    def examine(resources: Any) -> Any:
        examined = examiner.look(resources.values(), resources, tree)
        unseen.update(dict.fromkeys(examined.unseen))
        return examined.problems

    found = check(
        WorktreeSource(root), WORKTREE, folders, KINDS, cache, chosen_environment(context), settings.premises, examine
    )
    found = replace(found, unseen=tuple(unseen))
    if wanted:
        everywhere = ", ".join(folders)
        told = tuple(
            one for one in found.problems if one.file == everywhere or any(_within(one.file, path) for path in wanted)
        )
        found = replace(found, problems=told)
    failed = bool(found.problems if strict else found.errors)
    if not quiet or found.problems:
        as_text = report.brief if quiet else report.text
        writers: dict[str, Any] = {
            "text": lambda: as_text(found, lambda file, line: _line(root, file, line), strict=strict),
            "json": lambda: report.as_json(found, strict=strict),
            "github": lambda: report.github(_from_top(found, root), strict=strict),
            "sarif": lambda: report.sarif(_from_top(found, root), __version__),
        }
        click.echo(writers[output]())
    if not quiet:
        _tell_uncommitted(root, specs)
    context.exit(EXIT_INVALID if failed else 0)


def _tell_uncommitted(root: Path, specs: str) -> None:
    """What was checked is what lies here; what runs follows commits."""
    from controllers.host.checkout import uncommitted_specs
    from framework.render.uncommitted import not_committed

    found = uncommitted_specs(root, specs)
    if found is not None and found.files:
        aside(f"note: {not_committed(found)}")


def project_root(project: str | None, paths: tuple[Path, ...]) -> Path:
    """The project's folder: as given, or the nearest one upwards with specs or a repository, or where we are."""
    if project is not None:
        return Path(project).resolve()
    start = paths[0].resolve() if paths else Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "mlops_specs").is_dir() or (folder / ".git").exists():
            return folder
    return Path.cwd()


def _from_top(found: Any, root: Path) -> Any:
    """Places as GitHub names them: from the top of the repository, of which the project may be a folder."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    problems = (replace(one, file=(root.relative_to(top) / one.file).as_posix()) for one in found.problems)
    return replace(found, problems=tuple(problems))


def _below(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(root).as_posix()
    except ValueError:
        raise click.UsageError(f"{path} does not lie in the project {root}; name the project with --project") from None


def _folders(wanted: list[str], specs: str) -> list[str]:
    """What is read: the project's specs, unless only other places are asked for."""
    outside = [path for path in wanted if not _within(path, specs) and not _within(specs, path)]
    return list(dict.fromkeys(([specs] if len(outside) < len(wanted) or not wanted else []) + outside))


def _within(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def _line(root: Path, file: str, line: int) -> str | None:
    """A line of a file for an excerpt; None where it cannot be read as text."""
    try:
        lines = (root / file).read_bytes()[: 1 << 20].decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return lines[line - 1] if line <= len(lines) else None
