"""The pages of the kinds: complete, up to date, and with examples that are valid."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from framework.api.meta import API_VERSION, Metadata
from framework.kinds import KINDS
from framework.rollout.analysis.comparison import EVALUATED

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "kinds").glob("*.md"))


def _generator() -> ModuleType:
    """docs/generate.py, which lies in no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = _generator()


def examples(page: Path) -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block)]


def held_back(page: Path) -> str:
    """The section on what is not executed, without its line breaks."""
    section = page.read_text().partition("## Not executed yet\n")[2].partition("\n## ")[0]
    return " ".join(section.split())


def unsupported_paths(kind: str) -> set[str]:
    """The fields that a kind holds back, read from the source of its check: ``sources.NAME.sql``."""
    source = inspect.getsource(KINDS[kind].unsupported)
    found = set(re.findall(r'"(spec[^"]*)"', source))
    names = {re.sub(r"\[\{\w+\}\].*", "", path).replace("{name}", "NAME") for path in found}
    return {path.removeprefix("spec.") for path in names}


DOCUMENTS = [*PAGES, ROOT / "README.md", ROOT / "docs" / "specs.md"]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    assert {generate.page_of(kind) for kind in KINDS} == set(PAGES)


def test_every_page_has_an_example_of_its_kind() -> None:
    for kind in KINDS:
        page = generate.page_of(kind)
        assert page.read_text().startswith(f"# {kind}\n")
        assert kind in [example["kind"] for example in examples(page)]


@EACH_KIND
def test_field_tables_are_those_of_the_models(kind: str) -> None:
    text = generate.page_of(kind).read_text()
    assert generate.page(KINDS[kind], text) == text, "run: python docs/generate.py"


def test_the_table_of_metadata_is_that_of_the_model() -> None:
    text = generate.LANGUAGE.read_text()
    assert generate.language_page(text) == text, "run: python docs/generate.py"


@EACH_KIND
def test_every_row_says_what_the_field_means_and_what_a_change_costs(kind: str) -> None:
    for row in generate.rows(KINDS[kind].spec, KINDS[kind].categories):
        assert row.description, row.path
        assert row.category.label, row.path


@EACH_KIND
def test_every_field_of_the_model_is_in_the_table(kind: str) -> None:
    """A second way to the same fields: the JSON schema."""
    schema = KINDS[kind].spec.model_json_schema(by_alias=True)
    names = {name for one in (schema, *schema.get("$defs", {}).values()) for name in one.get("properties", {})}
    listed = re.findall(r"^\| `([^`]+)`", generate.table(KINDS[kind]), flags=re.MULTILINE)
    assert {path.rpartition(".")[2] for path in listed} == names


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_examples_are_valid(page: Path) -> None:
    assert examples(page)
    for example in examples(page):
        assert set(example) == {"apiVersion", "kind", "metadata", "spec"}
        assert example["apiVersion"] == API_VERSION
        Metadata.model_validate(example["metadata"])
        KINDS[example["kind"]].spec.model_validate(example["spec"])


@EACH_PAGE
def test_examples_show_only_what_is_executed_unless_the_page_says_otherwise(page: Path) -> None:
    for example in examples(page):
        kind = KINDS[example["kind"]]
        fields = kind.unsupported(kind.spec.model_validate(example["spec"]))
        assert fields == () or "does not execute it" in held_back(page)


@EACH_KIND
def test_pages_list_what_is_not_executed(kind: str) -> None:
    text = held_back(generate.page_of(kind))
    paths = unsupported_paths(kind)
    assert bool(paths) == bool(text)
    assert [path for path in sorted(paths) if f"`{path}" not in text] == []


@EACH_KIND
def test_pages_hold_back_nothing_that_is_executed(kind: str) -> None:
    paths = unsupported_paths(kind)
    fields = {row.path for row in generate.rows(KINDS[kind].spec, KINDS[kind].categories)}
    said = {word.partition(":")[0] for word in re.findall(r"`([^`]+)`", held_back(generate.page_of(kind)))}
    assert {word for word in said & fields if word not in paths} == set()


def test_the_metrics_of_an_analysis_are_those_that_are_evaluated() -> None:
    words = set(re.findall(r"`([^`]+)`", held_back(generate.page_of("ModelDeployment")).partition("other than")[2]))
    assert words == set(EVALUATED)


def test_a_page_that_is_behind_is_noticed_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in PAGES:
        (tmp_path / page.name).write_text(page.read_text())
    shutil.copy(generate.LANGUAGE, tmp_path / "specs.md")
    monkeypatch.setattr(generate, "PAGES", tmp_path)
    monkeypatch.setattr(generate, "LANGUAGE", tmp_path / "specs.md")
    assert generate.main(["--check"]) == 0
    page = tmp_path / "feature-view.md"
    page.write_text(page.read_text().replace("| `entities` | list of text |", "| `entities` | text |"))
    assert generate.main(["--check"]) == 1
    assert "feature-view.md" in capsys.readouterr().out
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    page.write_text("# FeatureView\n")
    with pytest.raises(ValueError, match="FeatureView lacks the markers"):
        generate.main([])
