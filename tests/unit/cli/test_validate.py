"""mlopsctl validate: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from controllers import examination
from controllers.cli.main import cli
from framework import __version__
from tests.world import PROJECT

VIEW = """\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: trips}
spec:
  entities: [trip]
  timestamp: time
  sources: {raw: {format: csv, path: trips.csv}}
  columns:
    - {name: trip, dtype: Int64}
    - {name: time, dtype: Datetime}
"""
DTYPES = "Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float32, Float64, String, Date, Datetime"

FAR = """apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: far}
spec:
  ray: {address: kuberay}
"""
"""What is right by the language and not executed."""
SEGMENTED = """apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch-NUMBER}
spec: {deployment: delay, window: 5m, segments: [distance], drift: {}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mlops_specs" / "sub").mkdir(parents=True)
    (tmp_path / "mlops_specs" / "view.yaml").write_text(VIEW)
    monkeypatch.chdir(tmp_path)
    # What the libraries say is tried elsewhere, and asking them takes a second each time.
    monkeypatch.setattr(examination, "ask_process", lambda questions: [[] for _ in questions])
    return tmp_path


def damage(project: Path) -> None:
    """Two errors in one file, a warning in another."""
    bad = VIEW.replace("trips}", "bad}").replace("Int64", "int64").replace("[trip]", "trip")
    (project / "mlops_specs" / "sub" / "bad.yaml").write_text(bad)
    (project / "mlops_specs" / "view.yaml").write_text(FAR)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["validate", *arguments])


def test_a_valid_project(project: Path) -> None:
    result = run()

    assert (result.exit_code, result.output) == (0, "1 object in 1 file: valid\n")
    assert run("--quiet").output == ""


def test_text_shows_every_mistake_with_its_line(project: Path) -> None:
    damage(project)
    result = run()

    assert result.exit_code == 1
    assert result.output == (
        "mlops_specs/sub/bad.yaml:5:13: error: spec.entities: expected a list of texts, found the text 'trip'\n"
        "     5 |   entities: trip\n"
        "       |             ^\n"
        "mlops_specs/sub/bad.yaml:9:27: error: spec.columns[0].dtype: 'int64' is not allowed here; "
        f"did you mean 'Int64'? (allowed: {DTYPES})\n"
        "     9 |     - {name: trip, dtype: int64}\n"
        "       |                           ^\n"
        "mlops_specs/view.yaml:5:3: warning: spec.ray.kuberay: is part of the language but not executed by this "
        "version: while it is there, no command works on this environment\n"
        "     5 |   ray: {address: kuberay}\n"
        "       |   ^\n"
        "2 objects in 2 files: 2 errors, 1 warning\n"
    )


def test_a_warning_alone_does_not_fail(project: Path) -> None:
    (project / "mlops_specs" / "view.yaml").write_text(FAR)
    result = run("--quiet")

    assert result.exit_code == 0
    assert result.output.endswith("1 object in 1 file: valid, 1 warning\n")


def test_strict_fails_where_something_will_stall(project: Path) -> None:
    (project / "mlops_specs" / "view.yaml").write_text(FAR)
    result = run("--strict")

    assert result.exit_code == 1
    assert result.output.endswith("1 object in 1 file: 1 warning\n")
    assert json.loads(run("--strict", "--output", "json").output)["valid"] is False
    assert json.loads(run("--output", "json").output)["valid"] is True
    (project / "mlops_specs" / "view.yaml").write_text(VIEW)
    assert run("--strict").exit_code == 0


def test_quiet_tells_what_is_said_thousands_of_times_once(project: Path) -> None:
    for path, text in PROJECT.items():
        (project / path).write_text(text)
    for number in range(300):
        (project / "mlops_specs" / f"many{number:03}.yaml").write_text(SEGMENTED.replace("NUMBER", f"{number:03}"))
    damage(project)
    lines = run("--quiet").output.splitlines()

    assert len([line for line in lines if ": error:" in line]) == 2
    assert [line for line in lines if ": warning:" in line and "far" not in line and "view.yaml" not in line] == [
        "mlops_specs/many000.yaml:4:39: warning: spec.segments: is part of the language but not executed by this "
        "version: while it is there, the resource stalls (NotSupported), and what is built from it waits "
        "(and 299 more like it)"
    ]
    assert lines[-1] == "305 objects in 305 files: 2 errors, 301 warnings"


@pytest.mark.parametrize(
    ("options", "variable"), [(["--env", "prdo"], None), ([], "prdo"), (["--output", "json", "--env", "prdo"], "x")]
)
def test_an_environment_that_does_not_exist_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], variable: str | None
) -> None:
    environment = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: prod}\nspec: {}\n"
    (project / "mlops_specs" / "prod.yaml").write_text(environment)
    assert run().exit_code == 0  # no name was given: every environment is looked at
    if variable is not None:
        monkeypatch.setenv("MLOPS_ENV", variable)
    for paths in ([], ["mlops_specs/view.yaml"]):
        result = CliRunner().invoke(cli, [*options, "validate", *paths])

        assert result.exit_code == 1
        assert "there is no Environment named 'prdo'" in result.output
        assert "'prod'" in result.output or '"suggestion": "prod"' in result.output


@pytest.mark.parametrize("name", ["view.YAML", "view.Yml", "view.yaml ", "view.YML.", "sub/View.yAML"])
def test_a_file_whose_name_ends_almost_like_a_spec_is_refused(project: Path, name: str) -> None:
    """It would be passed over, and what it holds deleted."""
    (project / "mlops_specs" / "view.yaml").rename(project / "mlops_specs" / name)
    result = run()

    assert result.exit_code == 1
    assert f"mlops_specs/{name}: error: is not read under this name; rename it to" in result.output
    assert result.output.endswith("0 objects in 1 file: 1 error\n")


@pytest.mark.parametrize("name", ["README.md", "view.yaml.bak", "view.yaml~", ".hidden.YAML", ".git.d/x.Yaml", "yaml"])
def test_other_files_are_nobodys_business(project: Path, name: str) -> None:
    place = project / "mlops_specs" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("no: [spec\n")

    assert run().output == "1 object in 1 file: valid\n"


@pytest.mark.parametrize("text", ["", "  \n\n", "---\n", "\ufeff"])
def test_an_empty_file_is_told(project: Path, text: str) -> None:
    (project / "mlops_specs" / "empty.yaml").write_text(text)
    result = run()

    assert result.exit_code == 1
    assert "mlops_specs/empty.yaml: error: the file is empty" in result.output


def test_a_file_of_comments_alone_holds_nothing_on_purpose(project: Path) -> None:
    (project / "mlops_specs" / "later.yaml").write_text("# kind: FeatureView\n")

    assert run().output == "1 object in 2 files: valid\n"


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlops_specs").write_text(VIEW)
    result = CliRunner().invoke(cli, ["--project", str(tmp_path), "validate"])

    assert result.exit_code == 1
    assert "mlops_specs: error: is a file; specs are *.yaml and *.yml in a folder" in result.output


@pytest.mark.parametrize("command", ["validate", "fmt"])
def test_paths_without_specs_are_a_wrong_command(project: Path, command: str) -> None:
    (project / "empty").mkdir()
    (project / "empty" / "notes.txt").write_text("x")
    for path, says in (
        ("empty", "there are no spec files (*.yaml, *.yml) below empty"),
        ("empty/notes.txt", "empty/notes.txt is no spec file: those end in .yaml or .yml"),
        ("nowhere", "does not exist"),
    ):
        result = CliRunner().invoke(cli, [command, path])

        assert (result.exit_code, says in result.output) == (2, True), result.output


@pytest.mark.parametrize("output", ["text", "json", "github", "sarif"])
def test_names_of_files_forge_nothing_and_are_told_as_text(project: Path, output: str) -> None:
    """A line break would begin a line of its own, and bytes that are no UTF-8 could not be read back."""
    for name in (b"a\nview.yaml:1:1: error: x.yaml", b"caf\xe9.yaml", b"\x1b[31mred.yaml"):
        with open(os.fsencode(project / "mlops_specs") + b"/" + name, "wb") as file:
            file.write(VIEW.replace("Int64", "int64").encode())
    result = CliRunner().invoke(cli, ["validate", "--output", output])
    shown = result.stdout_bytes.decode("utf-8")

    assert result.exit_code == 1
    assert "\x1b" not in shown
    assert shown.count("rename the file") == 3
    if output in {"json", "sarif"}:
        json.loads(shown)
    if output == "sarif":
        assert "mlops_specs/caf%E9.yaml" in shown
    else:
        assert ("mlops_specs/caf\\\\udce9.yaml" if output == "json" else "mlops_specs/caf\\udce9.yaml") in shown
    if output == "text":
        assert all(line.startswith("mlops_specs/") for line in shown.splitlines()[:-1])
        assert "mlops_specs/a\\nview.yaml:1:1: error: x.yaml: error: the name holds" in shown


def test_a_line_that_is_shown_steers_no_terminal(project: Path) -> None:
    (project / "mlops_specs" / "red.yaml").write_bytes(b"a: \x1b[31mred\n")

    assert "\x1b" not in run().output
    assert "a: \\x1b[31mred" in run().output


def test_json_is_one_stable_object(project: Path) -> None:
    damage(project)
    result = run("--output", "json")
    found = json.loads(result.output)
    problems = found.pop("problems")

    assert result.exit_code == 1
    assert found == {"valid": False, "files": 2, "objects": 2, "errors": 2, "warnings": 1}
    assert problems[1] == {
        "file": "mlops_specs/sub/bad.yaml",
        "line": 9,
        "column": 27,
        "path": "spec.columns[0].dtype",
        "severity": "error",
        "message": "'int64' is not allowed here",
        "allowed": DTYPES.split(", "),
        "suggestion": "Int64",
    }
    assert [problem["severity"] for problem in problems] == ["error", "error", "warning"]


def test_json_of_a_valid_project(project: Path) -> None:
    assert json.loads(run("--output", "json").output) == {
        "valid": True, "files": 1, "objects": 1, "errors": 0, "warnings": 0, "problems": [],
    }  # fmt: skip


def test_github_prints_annotations(project: Path) -> None:
    damage(project)
    result = run("--output", "github")
    lines = result.output.splitlines()

    assert result.exit_code == 1
    assert lines[0] == (
        "::error file=mlops_specs/sub/bad.yaml,line=5,col=13,title=spec.entities::"
        "spec.entities: expected a list of texts, found the text 'trip'"
    )
    title = "title=spec.ray.kuberay"
    assert lines[2].startswith(f"::warning file=mlops_specs/view.yaml,line=5,col=3,{title}::")
    assert len(lines) == 4


def test_github_annotations_cannot_be_forged(project: Path) -> None:
    """Text of a spec stays inside its annotation: a line of its own would be a command to the workflow."""
    forged = '"x\\n::set-output name=a::b%0A::error::c"'
    (project / "mlops_specs" / "a,b:c.yaml").write_text(VIEW.replace("trips}", "b}").replace("Int64", forged))
    key = '  "k\\n::error::d": 1\n'
    (project / "mlops_specs" / "key.yaml").write_text(VIEW.replace("trips}", "c}") + key)
    lines = run("--output", "github").output.splitlines()

    assert len(lines) == 3
    assert lines[0].startswith("::error file=mlops_specs/a%2Cb%3Ac.yaml,line=9,")
    assert "%250A" in lines[0]
    assert 'title=spec["k%0A%3A%3Aerror%3A%3Ad"]::' in lines[1]


def test_sarif_names_rules_and_places(project: Path) -> None:
    damage(project)
    (project / "mlops_specs" / "large ü.yaml").write_bytes(b"#" * (1 << 21))
    log: dict[str, Any] = json.loads(run("--output", "sarif").output)
    (sarif_run,) = log["runs"]
    driver, results = sarif_run["tool"]["driver"], sarif_run["results"]

    assert log["version"] == "2.1.0"
    assert (driver["name"], driver["version"]) == ("mlopsctl", __version__)
    assert {result["ruleId"] for result in results} == {rule["id"] for rule in driver["rules"]}
    assert results[0]["locations"] == [  # no region: it is the file as a whole
        {"physicalLocation": {"artifactLocation": {"uri": "mlops_specs/large%20%C3%BC.yaml"}}}
    ]
    (dtype,) = [result for result in results if "int64" in result["message"]["text"]]
    assert dtype["level"] == "error"
    assert dtype["locations"][0]["physicalLocation"]["region"] == {"startLine": 9, "startColumn": 27}


@pytest.mark.parametrize(
    ("paths", "lines"),
    [
        (["mlops_specs/sub"], ["bad.yaml:5", "bad.yaml:9"]),
        (["mlops_specs/sub/bad.yaml"], ["bad.yaml:5", "bad.yaml:9"]),
        (["mlops_specs/view.yaml"], ["view.yaml:5"]),
        (["mlops_specs"], ["bad.yaml:5", "bad.yaml:9", "view.yaml:5"]),
        (["."], ["bad.yaml:5", "bad.yaml:9", "view.yaml:5"]),
        (["elsewhere"], ["x.yaml:1"]),
    ],
)
def test_paths_choose_what_is_told(project: Path, paths: list[str], lines: list[str]) -> None:
    damage(project)
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "x.yaml").write_text("- not an object\n")
    found = json.loads(run(*paths, "--output", "json").output)["problems"]

    assert [f"{Path(one['file']).name}:{one['line']}" for one in found] == lines


def test_with_paths_the_rest_is_read_for_references(project: Path) -> None:
    (project / "mlops_specs" / "sub" / "b.yaml").write_text(
        VIEW.replace("trips}", "b}").replace("format: csv, path: trips.csv", "featureView: trips")
    )

    assert run("mlops_specs/sub").exit_code == 0


def test_a_project_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    damage(project)
    monkeypatch.chdir(tmp_path_factory.mktemp("away"))

    assert CliRunner().invoke(cli, ["--project", str(project), "validate"]).exit_code == 1
    assert "mlops_specs/sub/bad.yaml:5:13" in run(str(project / "mlops_specs")).output
    outside = CliRunner().invoke(cli, ["--project", str(project), "validate", "."])
    assert outside.exit_code == 2
    assert "does not lie in the project" in outside.output


def test_links_are_refused(project: Path) -> None:
    (project / "mlops_specs" / "out.yaml").symlink_to("/etc/hostname")
    result = run()

    assert result.exit_code == 1
    assert "mlops_specs/out.yaml: error: a symbolic link" in result.output


def test_a_mistake_on_a_long_line_is_told_without_it(project: Path) -> None:
    (project / "mlops_specs" / "long.yaml").write_text(f"a: yes  # {'x' * 500}\n")

    assert "xxx" not in run().output
