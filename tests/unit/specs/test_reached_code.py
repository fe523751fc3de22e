"""What of the user's code names a resource: what it reaches, and nothing else."""

from __future__ import annotations

import ast
import gc
from typing import Any

import pytest

from framework.api.meta import Ref
from framework.planning.grammar.snapshot import Snapshot
from framework.ports import CodeRef
from framework.specs.rules.outline import read_outline
from tests.unit.specs.conftest import Project

VIEW, WEATHER = Ref("FeatureView", "trips"), Ref("FeatureView", "weather")
MODULE = '''"""Trips."""

import math
import os
from importlib import import_module
from pathlib import Path

from . import helper
from .deep.more import more as much


def trips(raw):
    """Answer."""
    # a comment
    with open(Path(__file__).parent / "names.csv") as stream:
        found = [f"{part}.sql" for part in ("a", "b")]
    return helper.scaled(raw, math.pi, 'x'), much, stream, found, os.getenv("X")
'''
FILES = {
    "shop/code/features.py": MODULE,
    "shop/code/helper.py": "from shop.code import far\n\ndef scaled(raw, by, name):\n    return far.far(raw) * by\n",
    "shop/code/far.py": "FACTOR = 1\n\ndef far(raw):\n    return raw * FACTOR\n",
    "shop/code/deep/__init__.py": "",
    "shop/code/deep/more.py": "more = 1\n",
    "shop/code/serving.py": "def tidy(rows):\n    return rows\n",
    "shop/code/names.csv": "a,b\n",
    "shop/code/a.sql": "SELECT 1\n",
    "shop/code/NOTES.md": "notes\n",
}


def travelling(snapshot: Snapshot[Any]) -> CodeRef:
    """The code of the view."""
    found = snapshot.desired[VIEW].code
    assert found is not None
    return found


@pytest.fixture
def code(project: Project) -> Project:
    for path, text in FILES.items():
        project.code(path, text)
    return project


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/code/features.py", MODULE.replace("math.pi", "math.e")),
        ("shop/code/features.py", MODULE.replace('"x"', "'y'").replace("'x'", "'y'")),
        ("shop/code/features.py", MODULE.replace('"a", "b"', '"a", "c"')),
        ("shop/code/helper.py", "def scaled(raw, by, name):\n    return raw\n"),
        ("shop/code/far.py", "FACTOR = 2\n\ndef far(raw):\n    return raw * FACTOR\n"),  # two imports away
        ("shop/code/far.py", "FACTOR = True\n\ndef far(raw):\n    return raw * FACTOR\n"),  # and not 1
        ("shop/code/far.py", "FACTOR = 1.0\n\ndef far(raw):\n    return raw * FACTOR\n"),
        ("shop/code/deep/__init__.py", "import os\n"),  # runs when what lies in it is imported
        ("shop/code/__init__.py", "import os\n"),
        ("shop/__init__.py", "import os\n"),
        ("shop/code/names.csv", "a,b,c\n"),  # read by its name
        ("shop/code/a.sql", "SELECT 2\n"),  # read by how its name ends
        ("shop/code/b.sql", "SELECT 2\n"),
        ("shop/code/new.csv", "1\n"),  # beside a module that looks beside itself
    ],
)
def test_what_it_reaches_counts(code: Project, path: str, text: str) -> None:
    before = code.snapshot()
    code.code(path, text)
    after = code.snapshot()
    assert after.desired[VIEW].identity != before.desired[VIEW].identity
    assert travelling(after).digest != travelling(before).digest
    assert after.desired[WEATHER].digest == before.desired[WEATHER].digest
    assert after.desired[WEATHER].code is None


def test_packages_above_count_for_each_of_several_that_share_a_folder(code: Project) -> None:
    other = (code.root / "specs/features/weather.yaml").read_text()
    code.write("features/weather.yaml", f"{other.rstrip()}\n  transform: {{function: shop.code.far:far}}\n")
    before = code.snapshot()
    code.code("shop/__init__.py", "import os\n")
    after = code.snapshot()
    assert all(after.desired[ref].identity != before.desired[ref].identity for ref in (VIEW, WEATHER))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/code/features.py", MODULE.replace('    """Answer."""\n', "").replace("    # a comment\n", "\n\n")),
        ("shop/code/features.py", MODULE.replace("'x'", '(\n        "x"\n    )')),
        ("shop/code/features.py", ast.unparse(ast.parse(MODULE)) + "\n"),
        ("shop/code/far.py", '"""Far."""\nFACTOR = 1\n\ndef far(raw):\n    "Says."\n    return raw * FACTOR  # why\n'),
        ("shop/code/serving.py", "def tidy(rows):\n    return []\n"),
        ("shop/code/unused.py", "this is no Python"),
        ("shop/code/deep/unused.py", "x = 1\n"),
        ("shop/code/NOTES.md", "other notes\n"),
        ("shop/code/deep/README.rst", "read me\n"),
        ("shop/code/features.pyi", "x: int\n"),
        ("shop/other.py", "x = 1\n"),
        ("shop/data.csv", "1\n"),
    ],
)  # fmt: skip
def test_nothing_else_does(code: Project, path: str, text: str) -> None:
    before = code.snapshot()
    code.code(path, text)
    after = code.snapshot()
    assert after.desired[VIEW].digest == before.desired[VIEW].digest
    assert travelling(after).digest == travelling(before).digest
    assert travelling(after).folder == "shop/code"


@pytest.mark.parametrize(
    ("call", "path", "counts"),
    [
        ("import_module('shop.code.serving')", "serving.py", True),
        ("import_module('.serving', 'shop.code')", "serving.py", True),
        ("import_module('shop.code.' + name)", "serving.py", True),  # nobody can tell which
        ("__import__(name)", "deep/unused.py", True),
        ("runpy.run_path(name)", "serving.py", True),
        ("trips.__doc__", "NOTES.md", False),
        ("open('NOTES.md')", "NOTES.md", True),
        ("glob('*.md')", "NOTES.md", True),
        ("glob('*.txt')", "NOTES.md", False),
        ("open('x_names.csv')", "other.csv", False),
        ("read('templates')", "templates/page.html", True),
        ("read('pages')", "templates/page.html", False),
        ("resources.files('shop.code')", "page.html", True),
        ("pkgutil.get_data('shop.code', name)", "page.html", True),
        ("inspect.getsourcefile(trips)", "page.html", True),
        ("open(name)", "page.html", True),
        ("open(f'shop/code/{name}')", "page.html", True),
        ("Path('shop/code', name).read_text()", "page.html", True),
        ("pl.read_csv(name)", "page.html", True),
        ("pl.read_csv('other.csv')", "page.html", False),
        ("raw.open_all(name)", "page.html", False),
    ],
)
def test_where_only_running_would_tell_more_counts(project: Project, call: str, path: str, counts: bool) -> None:
    project.code("shop/code/features.py", f"def trips(raw):\n    return {call}\n")
    project.code("shop/code/serving.py", "x = 1\n")
    before = project.snapshot()
    project.code(f"shop/code/{path}", "x = 2\n")
    assert (project.snapshot().desired[VIEW].identity != before.desired[VIEW].identity) is counts


def test_a_docstring_counts_where_code_reads_it(project: Project) -> None:
    text = 'def trips(raw):\n    """One."""\n    return trips.__doc__\n'
    project.code("shop/code/features.py", text)
    before = project.snapshot()
    project.code("shop/code/features.py", text.replace("One", "Two"))
    assert project.snapshot().desired[VIEW].identity != before.desired[VIEW].identity


def test_what_a_helper_imports_from_elsewhere_is_told(code: Project) -> None:
    code.code("shop/lib.py", "x = 1\n")
    code.code("shop/code/far.py", "from shop.lib import x\n\ndef far(raw):\n    return raw * x\n")
    assert code.problems() == [
        "shop/code/far.py:1:1: error: imports shop/lib.py, but only shop/code travels to the cluster for "
        "FeatureView/trips"
    ]


def test_modules_that_import_each_other_are_read_once(project: Project) -> None:
    project.code("shop/code/features.py", "from . import helper\n\ndef trips(raw):\n    return raw\n")
    project.code("shop/code/helper.py", "from . import features\n")
    assert project.snapshot().desired[VIEW].code


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("x = ''", "x = None"),
        ("x = [1]", "x = (1,)"),
        ("x = a + b", "x = a - b"),
        ("x = not a", "x = -a"),
        ("f(a)", "f(*a)"),
        ("f(a=1)", "f(b=1)"),
        ("x = 'a='", "x = 'b='"),
        ("def f(a, /): 0", "def f(a): 0"),
        ("def f(): 0", "async def f(): 0"),
        ("x: int", "x: str"),
        ("del x", "x"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = f'{a:3}'", "x = f'{a:4}'"),
        ("global x", "nonlocal x"),
        ("if a:\n  b\nelse:\n  c", "if a:\n  c\nelse:\n  b"),
        ("from . import a", "from .. import a"),
        ("x = 'a' 'b'", "x = 'a', 'b'"),
    ],
)
def test_what_differs_in_meaning_differs(one: str, other: str) -> None:
    assert read_outline(one.encode()).meaning != read_outline(other.encode()).meaning


@pytest.mark.parametrize("text", ["x = ", "x = \0", "(" * 300 + ")" * 300, "\xff"])
def test_of_what_cannot_be_read_the_bytes_count(text: str) -> None:
    assert read_outline(text.encode("latin-1")).meaning is None


def test_a_long_chain_is_no_hindrance() -> None:
    chain = "x = " + " + ".join(["1"] * 900)
    assert read_outline(chain.encode()).meaning != read_outline(f"{chain} + 1".encode()).meaning


def test_a_commit_that_was_read_leaves_nothing_that_refers_to_itself(code: Project) -> None:
    """A controller reads one after the other, and looks for such garbage seldom.

    Other threads of the tests leave theirs now and then."""
    for _ in range(2):
        code.snapshot()
    found = []
    for rounds in range(20, 23):
        gc.collect()
        gc.disable()
        try:
            code.edit("training/late.yaml", (f"rounds: {rounds}", f"rounds: {rounds + 1}"))
            code.snapshot()
            found.append(gc.collect())
        finally:
            gc.enable()
    assert 0 in found
