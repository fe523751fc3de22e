"""A source is added by an entry for what a spec may say, and by a file and a line for what reads. Done here to a copy
of the framework, in which nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
READER = '''
import polars as pl

from framework.workloads.features.readers.reader import FileReader, KnownSource, options_of


class Toy(FileReader):
    """A word and a number in a line."""

    def rows(self, source, files):
        sign = options_of(source).get("sign", " ")
        lines = [line.split(sign) for file in files for line in file.read(source.name).decode().splitlines()]
        return pl.LazyFrame([(word, int(number)) for word, number in lines], schema=TOY, orient="row")

    def look(self, source, views):
        return KnownSource(TOY, sure=True, files=tuple(file.label for file in source.files))


TOY = pl.Schema({"word": pl.String(), "number": pl.Int64()})
'''
LINES = {
    "framework/api/sources.py": [
        (
            '    "delta": FileFormat({',
            '    "toy": FileFormat({"sign": Option("sign", "a sign", lambda value: value == ":")}, "a toy"),\n',
        )
    ],
    "framework/workloads/features/sources.py": [
        (
            "from framework.workloads.features.readers.view import ViewReader\n",
            "from framework.workloads.features.readers.toy import Toy\n",
        ),
        ('    "delta": DeltaReader(),\n', '    "toy": Toy(),\n'),
    ],
}
"""By file: before which line each goes."""
ASKS = """
import json, sys
from pydantic import ValidationError
from framework.kinds.feature_view.rules import problems
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.workloads.features.look import look
from framework.workloads.features.sources import trouble
from framework.workloads.features.transform import compute

root = sys.argv[1]
def spec(sign, column="number", **toy):
    return {
        "entities": ["word"], "timestamp": "t",
        "sources": {"rows": {"path": "*.toy", "options": {"sign": sign}, **({"format": "toy"} | toy)}},
        "transform": {"sql": f"SELECT word, {column}, DATE '2024-01-01' AS t FROM rows"},
        "columns": [
            {"name": "word", "dtype": "String"}, {"name": column, "dtype": "Int64"}, {"name": "t", "dtype": "Date"}
        ],
    }

def refused(asked):
    try:
        return [(one.path, one.message) for one in problems(FeatureViewSpec.model_validate(asked), {})]
    except ValidationError as error:
        return [one["msg"] for one in error.errors()]

def seen(asked):
    return [one.message for one in look({"spec": asked, "views": {}, "root": root, "whole": True})]

print(json.dumps({
    "described": FeatureViewSpec.model_fields["sources"].annotation.__args__[1].model_fields["format"].description,
    "refused": [refused(spec(":")), refused(spec("-")), refused(spec(":", format="tow"))],
    "seen": [seen(spec(":")), seen(spec(":", "numbers"))],
    "rows": compute(spec(":"), root).select("word", "number").rows(),
    "trouble": trouble(spec("-")["sources"], root),
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, data = tmp_path_factory.mktemp("added"), tmp_path_factory.mktemp("data")
    shutil.copytree(ROOT / "framework", folder / "framework")
    (folder / "framework/workloads/features/readers/toy.py").write_text(READER)
    for path, lines in LINES.items():
        text = (folder / path).read_text()
        for before, line in lines:
            assert text.count(before) == 1
            text = text.replace(before, line + before)
        (folder / path).write_text(text)
    (data / "a.toy").write_text("one:1\n")
    (data / "b.toy").write_text("two:2\n")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-P", "-c", ASKS, str(data)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_its_rows_are_read_and_its_files_named_where_they_cannot_be(found: dict[str, Any]) -> None:
    assert found["rows"] == [["one", 1], ["two", 2]]
    assert [told.startswith(f"source rows: {name}.toy: ") for told, name in zip(found["trouble"], "ab", strict=True)]


def test_a_spec_may_name_it_and_its_options_and_nothing_else(found: dict[str, Any]) -> None:
    right, option, name = found["refused"]
    assert right == []
    assert option == [['spec.sources["rows"].options["sign"]', "expected a sign, found '-'"]]
    assert all(f"'{known}'" in name[0] for known in ("csv", "toy", "delta"))
    assert found["described"].endswith("; a toy")


def test_its_columns_are_known_before_a_run(found: dict[str, Any]) -> None:
    assert found["seen"] == [[], ["no column 'numbers'"]]
