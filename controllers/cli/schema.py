"""mlopsctl schema: JSON Schema of spec files, for editors and other tools."""

from __future__ import annotations

import click


@click.command()
@click.argument("kind", required=False)
def schema(kind: str | None) -> None:
    """Print the JSON Schema of KIND, or of all kinds as one.

    An editor completes and checks a spec file whose first line is
    "# yaml-language-server: $schema=FILE".
    """
    import json

    from framework.kinds import KINDS
    from framework.specs import schema as schemas
    from framework.specs.words import nearest

    if kind is not None and kind not in KINDS:
        near = nearest(kind, KINDS)
        guess = f" Did you mean {near!r}?" if near else ""
        raise click.UsageError(f"There is no kind {kind!r}.{guess} Kinds: {', '.join(KINDS)}.")
    found = schemas.schema(KINDS) if kind is None else schemas.kind_schema(KINDS[kind])
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))
