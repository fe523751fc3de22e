"""Commands that only read specs start at once: they load nothing heavy, and take little CPU time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = """
ray polars whylogs sqlalchemy pandas numpy scipy sklearn lightgbm xgboost skops optuna pyarrow deltalake torch mlflow
onnx onnxruntime safetensors fastapi starlette argo_workflows cryptography git fsspec rich httpx jinja2
"""
LIGHT = (
    "--help", "--version", "validate", "validate --help", "schema", "init --help", "plan --help", "reconcile --help",
)  # fmt: skip
_FLOOR = """
import click, pydantic, yaml
class Model(pydantic.BaseModel):
    field: int = 0
"""
_MAIN = """
from controllers.cli.main import main
main()
"""
_EACH = f"""
import contextlib, io, json, sys
from controllers.cli.main import main
told, known = {{}}, set()
for command in {LIGHT!r}:
    sys.argv = ["mlopsctl", *command.split()]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as leave:
            code = leave.code
    heavy = set({HEAVY.split()!r}) & {{name.partition(".")[0] for name in sys.modules}}
    told[command] = [code, sorted(heavy - known)]
    known |= heavy
print(json.dumps(told))
"""


def run(code: str, *arguments: str, cache: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if cache is None:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        environment["PYTHONPYCACHEPREFIX"] = str(cache)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_commands_that_read_specs_load_nothing_heavy() -> None:
    assert json.loads(run(_EACH)) == {command: [0, []] for command in LIGHT}


def test_what_is_heavy_would_be_noticed() -> None:
    assert "polars" in json.loads(run("import polars\n" + _EACH))["--help"][1]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "times"), [("--help", 2.0), ("validate", 4.0)])
def test_they_take_little_cpu_time_beside_the_libraries_that_all_need(
    command: str, times: float, tmp_path: Path
) -> None:
    """At most so many times what Python, pydantic and YAML take to start, best of several, each beside the other."""
    timed = "import atexit, time; atexit.register(lambda: print(time.process_time()))\n"
    pairs = [[_cpu(run(timed + code, *command.split(), cache=tmp_path)) for code in (_MAIN, _FLOOR)] for _ in range(5)]
    seconds, floor = (min(found) for found in zip(*pairs[1:], strict=True))  # the first run compiles
    assert seconds < times * floor


def _cpu(shown: str) -> float:
    return float(shown.splitlines()[-1])
