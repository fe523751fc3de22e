"""Commands that only read specs start at once: they load nothing heavy, and take little CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = """
ray polars whylogs sqlalchemy pandas numpy scipy sklearn lightgbm skops optuna pyarrow deltalake torch mlflow
fastapi starlette argo_workflows cryptography git fsspec rich httpx jinja2
"""
_FLOOR = """
import click, pydantic, yaml
class Model(pydantic.BaseModel):
    field: int = 0
"""
_RUN = """
import sys
from controllers.cli.main import main
try:
    main()
except SystemExit as leave:
    code = leave.code or 0
heavy = sorted(set(HEAVY) & {name.partition(".")[0] for name in sys.modules})
print("HEAVY", *heavy, file=sys.stderr)
sys.exit(code)
"""


def run(*arguments: str, code: str = _RUN, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if cache is None:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        environment["PYTHONPYCACHEPREFIX"] = str(cache)
    code = code.replace("HEAVY)", f"{HEAVY.split()!r})")
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "validate", "validate --help", "schema", "init --help", "plan --help", "reconcile --help"],
)
def test_commands_that_read_specs_load_nothing_heavy(command: str) -> None:
    done = run(*command.split())
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, ["HEAVY"])


def test_what_is_heavy_would_be_noticed() -> None:
    assert run("--help", code="import polars\n" + _RUN).stderr.splitlines()[-1].split()[:2] == ["HEAVY", "polars"]


@pytest.mark.parametrize(("command", "times"), [("--help", 2.0), ("validate", 4.0)])
def test_they_take_little_cpu_time_beside_the_libraries_that_all_need(
    command: str, times: float, tmp_path: Path
) -> None:
    """At most so many times what Python, pydantic and YAML take to start, best of several, each beside the other."""
    timed = "import atexit, time; atexit.register(lambda: print(time.process_time()))\n"
    pairs = [
        [_cpu(run(*command.split(), code=timed + code, cache=tmp_path)) for code in (_RUN, _FLOOR)] for _ in range(5)
    ]
    seconds, floor = (min(found) for found in zip(*pairs[1:], strict=True))  # the first run compiles
    assert seconds < times * floor


def _cpu(done: subprocess.CompletedProcess[str]) -> float:
    return float(done.stdout.splitlines()[-1])
