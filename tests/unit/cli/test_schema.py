"""mlopsctl schema: what editors check is what mlopsctl accepts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result

from controllers.cli.main import cli
from framework.kinds import KINDS
from framework.specs.yaml.positions import parse

ROOT = Path(__file__).parents[3]
OBJECTS = [
    document.data
    for folder in ("mlops_specs", "tests/data/specs")
    for file in sorted((ROOT / folder).rglob("*.yaml"))
    for document in parse(file.name, file.read_bytes()).documents
    if document.data["kind"] in KINDS
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["schema", *arguments])


@cache
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
    assert found["properties"]["kind"]["const"] == kind
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
        (("spec", "dataset", "split"), {"fractions": {"train": 1, "validation": 0, "test": 0}}),
        (("spec", "evaluation"), {"gates": [{"metric": "a u c", "min": 0.5}]}),
        (("metadata", "annotations"), {"mlops/acknowledge": "x"}),
        (("metadata", "annotations"), {"mlops/acknowledge-breaking": True}),
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


def test_annotations_of_your_own_are_accepted() -> None:
    data = json.loads(json.dumps(OBJECTS[0]))
    data["metadata"]["annotations"] = {"team/pager": "x", "mlops/acknowledge-breaking": "3f2a9c1b7e"}

    assert not list(validator().iter_errors(data))


def test_a_folder_of_schemas_for_editors(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "schemas"
    result = run("--output-dir", str(folder))

    assert result.exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"all.json", *(f"{kind}.json" for kind in KINDS)}
    assert f"wrote {folder / 'all.json'}\n" in result.output
    assert (folder / "all.json").read_text() == run().output
    assert (folder / "TrainingJob.json").read_text() == run("TrainingJob").output


def test_a_folder_with_one_schema(tmp_path: Path) -> None:
    run("Environment", "--output-dir", str(tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == ["Environment.json"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("--output-dir", str(tmp_path / "file" / "below"))

    assert result.exit_code == 1
    assert "cannot write to" in result.output
    assert "Traceback" not in result.output


def _properties(schema: Any) -> list[tuple[str, Any]]:
    found = []
    for owner, one in {"": schema, **schema["$defs"]}.items():
        found += [(f"{owner}.{name}", info) for name, info in one.get("properties", {}).items()]
    return found


def test_every_property_is_described() -> None:
    lacking = [name for name, info in _properties(json.loads(run().output)) if not info.get("description")]

    assert lacking == []


def test_formats_that_have_a_form_show_examples() -> None:
    found = dict(_properties(json.loads(run().output)))

    for name in ("ModelDeploymentSpec", "Materialization"):
        assert any(key.startswith(name) for key in found), name
    assert '"examples": ["90s", "5m", "3h"]' in json.dumps(found["TrainingJobSpec.timeout"])
    assert "examples" in json.dumps(found["Materialization.schedule"])
    assert "examples" in json.dumps(found["FunctionTrainer.entrypoint"])
    assert "examples" in json.dumps(found["Source.path"])
