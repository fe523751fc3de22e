"""mlopsctl fmt: what it writes, what it leaves alone, and how it exits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controllers.cli.main import cli

ROOT = Path(__file__).parents[3]
UGLY = """\
# Trips.
kind:  FeatureView   # a kind
metadata:
    name:   trips


    owner: me
apiVersion: mlops/v1alpha1
spec:
    # Keys.
    entities: [ trip,stop ]
    columns:
    - {name: trip,  dtype: Int64}   # the key
    - name: time
      dtype: Datetime
"""
TIDY = """\
# Trips.
apiVersion: mlops/v1alpha1
kind: FeatureView  # a kind
metadata:
  name: trips

  owner: me
spec:
  # Keys.
  entities: [trip, stop]
  columns:
    - {name: trip, dtype: Int64}  # the key
    - name: time
      dtype: Datetime
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mlops_specs" / "sub").mkdir(parents=True)
    (tmp_path / "mlops_specs" / "tidy.yaml").write_text(TIDY)
    (tmp_path / "mlops_specs" / "sub" / "ugly.yml").write_text(UGLY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["fmt", *arguments])


def test_files_are_written_in_one_form(project: Path) -> None:
    ugly = project / "mlops_specs" / "sub" / "ugly.yml"
    ugly.chmod(0o640)
    result = run()

    assert (result.exit_code, result.output) == (0, "formatted mlops_specs/sub/ugly.yml\n1 of 2 files formatted\n")
    assert ugly.read_text() == TIDY
    assert ugly.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in ugly.parent.iterdir()) == ["ugly.yml"]
    again = run()
    assert (again.exit_code, again.output) == (0, "2 files: nothing to format\n")


def test_check_writes_nothing_and_fails(project: Path) -> None:
    result = run("--check")

    assert (result.exit_code, result.output) == (
        1, "would format mlops_specs/sub/ugly.yml\n1 of 2 files would be formatted\n",
    )  # fmt: skip
    assert (project / "mlops_specs" / "sub" / "ugly.yml").read_text() == UGLY
    assert run("--check", "mlops_specs/tidy.yaml").exit_code == 0


def test_diff_shows_what_would_change(project: Path) -> None:
    result = run("--diff", "mlops_specs/sub/ugly.yml")

    assert result.exit_code == 0
    assert "-kind:  FeatureView   # a kind\n" in result.stdout
    assert "+  entities: [trip, stop]\n" in result.stdout
    assert result.stderr == "1 of 1 file would be formatted\n"
    assert run("--diff", "--check").exit_code == 1
    assert (project / "mlops_specs" / "sub" / "ugly.yml").read_text() == UGLY


def test_a_broken_file_is_reported_and_left_alone_and_the_others_are_not(project: Path) -> None:
    broken = project / "mlops_specs" / "broken.yaml"
    broken.write_text("kind: [\n")
    result = run()

    assert result.exit_code == 1
    assert "mlops_specs/broken.yaml:2:1: error: the text ends where a value or a closing ']' or '}'" in result.stderr
    assert "formatted mlops_specs/sub/ugly.yml" in result.stdout
    assert broken.read_text() == "kind: [\n"


def test_quiet_says_only_what_is_wrong(project: Path) -> None:
    assert run("--quiet").output == ""
    assert (project / "mlops_specs" / "sub" / "ugly.yml").read_text() == TIDY


def test_hidden_files_and_links_are_left_out(project: Path) -> None:
    outside = project / "outside.yaml"
    outside.write_text(UGLY)
    (project / "mlops_specs" / "link.yaml").symlink_to(outside)
    (project / "mlops_specs" / ".hidden.yaml").write_text(UGLY)
    (project / "mlops_specs" / "notes.md").write_text("a:   1")
    os.mkfifo(project / "mlops_specs" / "pipe.yaml")
    run()

    assert outside.read_text() == UGLY
    assert (project / "mlops_specs" / ".hidden.yaml").read_text() == UGLY
    assert (project / "mlops_specs" / "notes.md").read_text() == "a:   1"


def test_a_link_that_is_named_stays_a_link(project: Path) -> None:
    outside, link = project / "outside.yaml", project / "link.yaml"
    outside.write_text(UGLY)
    link.symlink_to(outside)
    run("link.yaml")

    assert link.is_symlink()
    assert outside.read_text() == TIDY


def test_windows_line_ends_and_a_byte_order_mark_go(project: Path) -> None:
    file = project / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + UGLY.replace("\n", "\r\n").encode())
    run("a.yaml")

    assert file.read_bytes() == TIDY.encode()


def test_a_project_without_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run()

    assert result.exit_code == 2
    assert "there is no folder" in result.output


def test_the_specs_of_this_repository_are_formatted() -> None:
    result = run("--check", *(str(ROOT / folder) for folder in ("mlops_specs", "examples")))

    assert result.exit_code == 0, result.output


def test_a_folder_of_no_project_is_refused_before_it_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here / "below", elsewhere):
        folder.mkdir(parents=True)
        (folder / "a.yaml").write_text(UGLY)
    monkeypatch.chdir(here)
    for outside in (str(elsewhere), "/"):
        done = CliRunner().invoke(cli, ["fmt", outside])
        assert done.exit_code == 2
        assert f"{outside} does not lie in a project" in done.output
    assert (elsewhere / "a.yaml").read_text() == UGLY
    assert CliRunner().invoke(cli, ["fmt", "below"]).exit_code == 0
    (elsewhere / "mlops_specs").mkdir()
    assert CliRunner().invoke(cli, ["fmt", str(elsewhere)]).exit_code == 0
