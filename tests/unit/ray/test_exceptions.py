from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from framework.backends.ray.exceptions import LONGEST, in_one_line

SITE = "/opt/venv/lib/python3.11/site-packages"
START = f"""The deployment failed to start 3 times in a row. This may be due to a problem with its constructor or \
initial health check failing. See controller logs for details. Error:
\x1b[36mray::ServeReplica:late:Model.initialize_and_get_metadata()\x1b[39m (pid=25857, ip=127.0.0.1, actor_id=4a45, \
repr=<ray.serve._private.replica.ServeReplica:late:Model object at 0x7f4fad369110>)
  File "/usr/lib/python3.11/concurrent/futures/_base.py", line 456, in result
    return self.__get_result()
           ^^^^^^^^^^^^^^^^^^^
  File "{SITE}/ray/serve/_private/replica.py", line 1928, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "{SITE}/ray/serve/_private/replica.py", line 4008, in _call_func_or_gen
    result = callable(*args, **kwargs)
             ^^^^^^^^^^^^^^^^^^^^^^^^^
"""


def replica(rest: str) -> str:
    return START + rest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            replica(
                f'  File "{SITE}/framework/workloads/serving/model.py", line 32, in __init__\n    self._predictor = x\n'
                f'  File "{SITE}/framework/workloads/models.py", line 113, in load\n'
                '    raise WorkloadError("ArtifactMissing", f"no model file at {artifact}")\n'
                "framework.workloads.context.WorkloadError: no model file at /nowhere/model.txt"
            ),
            "no model file at /nowhere/model.txt",
            id="ours, installed",
        ),
        pytest.param(
            replica(
                '  File "/home/ann/mlopsctl/framework/workloads/models.py", line 113, in load\n    raise x\n'
                "framework.workloads.context.WorkloadError: no model file at /nowhere/model.txt\n"
            ),
            "no model file at /nowhere/model.txt",
            id="ours, from a checkout",
        ),
        pytest.param(
            replica(
                '  File "/tmp/r/session_1/working_dir_files/_ray_pkg_0a1b/p/serving.py", line 12, in tidy\n'
                "    return frame.select(x)\n"
                f'  File "{SITE}/polars/dataframe/frame.py", line 9000, in select\n    raise error\n'
                "polars.exceptions.ColumnNotFoundError: x not found"
            ),
            "ColumnNotFoundError: x not found (p/serving.py:12, in tidy)",
            id="the user's, raised in a library",
        ),
        pytest.param(
            "Deploying app 'late' failed with exception:\nTraceback (most recent call last):\n"
            f'  File "{SITE}/ray/serve/_private/application_state.py", line 1, in build\n    x\n'
            "ModuleNotFoundError: No module named 'p'\n",
            "ModuleNotFoundError: No module named 'p' (ray/serve/_private/application_state.py:1, in build)",
            id="nobody else's frames",
        ),
        pytest.param(
            'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\n'
            '  File "/w/_ray_pkg_1f/p/serving.py", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax',
            "SyntaxError: invalid syntax (p/serving.py:3)",
            id="syntax",
        ),
        pytest.param(
            "Traceback (most recent call last):\n"
            '  File "/w/_ray_pkg_1f/p/a.py", line 1, in a\n    1 / 0\nZeroDivisionError: division by zero\n\n'
            "The above exception was the direct cause of the following exception:\n\n"
            "Traceback (most recent call last):\n"
            '  File "/w/_ray_pkg_1f/p/b.py", line 2, in b\n    raise ValueError(1)\nValueError: cannot\n  and will not',
            "ValueError: cannot and will not (p/b.py:2, in b)",
            id="chained, of several lines",
        ),
        pytest.param("  too\nmany\t\x1b[31mwords\x1b[0m ", "too many words", id="no traceback"),
        pytest.param("<Thing object at 0x7f1a8b0c2bd0> is odd", "<Thing object> is odd", id="an address"),
        pytest.param("", "", id="nothing"),
        pytest.param(
            'x failed:\n  File "/w/_ray_pkg_1f/p/a.py", line 1, in a\n    cut off',
            "x failed: (p/a.py:1, in a)",
            id="cut off",
        ),
    ],
)
def test_the_last_exception_and_where(text: str, expected: str) -> None:
    assert in_one_line(text) == expected


def _raised(work: Callable[[], object]) -> str:
    try:
        work()
    except Exception:
        return traceback.format_exc()
    raise AssertionError("it raised nothing")


def test_what_python_prints_is_understood() -> None:
    told = in_one_line(_raised(lambda: {}["a key"]))
    assert told.startswith("KeyError: 'a key' (")
    assert "test_exceptions.py:" in told


def test_a_long_text_keeps_its_ends() -> None:
    told = in_one_line("begin " + "x " * 5000 + "end")
    assert len(told) < LONGEST + 10
    assert told.startswith("begin ")
    assert told.endswith(" end")


def test_what_a_workload_refuses_on_purpose_is_told_in_its_own_words() -> None:
    """Neither its type nor where we raised it helps anybody; what it says has the place in the user's code."""
    refused = (
        "Traceback (most recent call last):\n"
        '  File "/venv/lib/python3.11/site-packages/framework/workloads/serving/trial.py", line 56, in attempt\n'
        "    raise WorkloadError(reason, message)\n"
        "framework.workloads.context.WorkloadError: TrialFailed: KeyError: 'x' (shop/serving.py:2, in prepare)\n"
    )
    assert in_one_line(refused) == "TrialFailed: KeyError: 'x' (shop/serving.py:2, in prepare)"
