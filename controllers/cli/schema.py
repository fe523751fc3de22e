"""mlopsctl schema: JSON Schema of spec files, for editors and other tools."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("kind", required=False)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write all.json and one file per kind to this folder instead.",
)
def schema(kind: str | None, output_dir: Path | None) -> None:
    """Print the JSON Schema of KIND, or of all kinds as one.

    An editor completes and checks a spec file whose first line is
    "# yaml-language-server: $schema=FILE".
    """
    from framework.api.nearest import nearest
    from framework.kinds import KINDS
    from framework.specs.language import schema as schemas

    if kind is not None and kind not in KINDS:
        near = nearest(kind, KINDS)
        guess = f" Did you mean {near!r}?" if near else ""
        raise click.UsageError(f"There is no kind {kind!r}.{guess} Kinds: {', '.join(KINDS)}.")
    if output_dir is None:
        click.echo(schemas.text(schemas.schema(KINDS) if kind is None else schemas.kind_schema(KINDS[kind])))
        return
    wanted = schemas.files(KINDS)
    if kind is not None:
        wanted = {name: text for name, text in wanted.items() if name == f"{kind}.json"}
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        for name, text in wanted.items():
            (output_dir / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write to {output_dir}: {error.strerror}") from None
    for name in wanted:
        click.echo(f"wrote {output_dir / name}")
