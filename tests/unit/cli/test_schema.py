"""mlopsctl schema: what editors check is what mlopsctl accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result

from controllers.cli.main import cli
from framework.kinds import KINDS
from framework.specs.positions import parse

SPECS = Path(__file__).parents[3] / "mlops_specs"
OBJECTS = [
    document.data
    for file in sorted(SPECS.rglob("*.yaml"))
    for document in parse(file.name, file.read_bytes()).documents
    if document.data["kind"] in KINDS
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["schema", *arguments])


def validator(*arguments: str) -> jsonschema.Draft202012Validator:
    found = json.loads(run(*arguments).output)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("data", OBJECTS, ids=lambda data: f"{data['kind']}/{data['metadata']['name']}")
def test_the_schema_accepts_the_example_project(data: Any) -> None:
    assert not list(validator(data["kind"]).iter_errors(data))
    assert not list(validator().iter_errors(data))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_schema_of_each_kind(kind: str) -> None:
    found = json.loads(run(kind).output)

    assert found["title"] == kind
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["properties"]["kind"] == {"const": kind}
    assert set(found["required"]) == {"apiVersion", "kind", "metadata", "spec"}
    spec = found["$defs"][found["properties"]["spec"]["$ref"].rpartition("/")[2]]
    assert set(spec["properties"]) == {info.alias or name for name, info in KINDS[kind].spec.model_fields.items()}
    assert spec["additionalProperties"] is False


def test_the_schema_of_all_kinds_is_one_of_them() -> None:
    found = json.loads(run().output)

    assert [one["$ref"] for one in found["oneOf"]] == [f"#/$defs/{kind}" for kind in KINDS]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("apiVersion",), "v1"),
        (("kind",), "Deployment"),
        (("metadata", "onwer"), "x"),
        (("metadata", "name"), "Upper_Case"),
        (("spec", "sorces"), {}),
        (("spec", "timeout"), "1 hour"),
        (("spec", "dataset", "features"), "all"),
        (("spec", "dataset", "window"), {"form": "2013-01-01"}),
        (("spec", "seed"), "seven"),
        (("spec", "tune"), {"search": {}}),
        (("spec", "resources", "workers"), 0),
    ],
)
def test_the_schema_refuses_what_validate_refuses(path: tuple[str, ...], value: Any) -> None:
    data = json.loads(json.dumps(next(one for one in OBJECTS if one["kind"] == "TrainingJob")))
    parent = data
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value

    assert list(validator().iter_errors(data))
    assert list(validator("TrainingJob").iter_errors(data))


@pytest.mark.parametrize(
    ("kind", "guess"),
    [("TrainingJbo", "Did you mean 'TrainingJob'?"), ("modelDeployment", "Did you mean 'ModelDeployment'?"), ("X", "")],
)
def test_an_unknown_kind(kind: str, guess: str) -> None:
    result = run(kind)

    assert result.exit_code == 2
    assert f"There is no kind '{kind}'." in result.output
    assert guess in result.output
    assert all(known in result.output for known in KINDS)
