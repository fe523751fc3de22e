"""Files made to hurt, as they might lie in a repository (promise 32): each gets a clear error within a second and in
bounded memory, in a process that the system holds to it."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from framework.kinds import KINDS
from framework.specs.read import check
from framework.specs.worktree import WORKTREE, WorktreeSource

CORPUS = Path(__file__).parents[2] / "data" / "hostile"

TAGS = "tags (!) are not allowed"
DEEP = "nested more than 64 levels deep"
MANY = "more than 50,000 values in one file, aliases expanded"
EXPECTED = {
    "alias-as-key": "2:1 a key must be written out, not an alias",
    "aliases-101": "2:405 more than 100 aliases",
    "anchor-in-itself": "2:7 *a lies inside itself",
    "anchor-missing": "1:4 no anchor &nobody comes before this alias",
    "anchor-of-another-document": "3:4 no anchor &a comes before this alias",
    "binary": "3:115 the byte 0x80 is not UTF-8; save the file as UTF-8",
    "bomb-in-a-spec": f"10:22 {MANY}",
    "bomb-of-aliases": f"6:20 {MANY}",
    "bomb-of-doubling-aliases": f"15:12 {MANY}",
    "bomb-of-merge-keys": "2:10 merge keys (<<) are not part of YAML 1.2; write the fields out",
    "boolean-norway": "1:17 no without quotes is false to some YAML readers",
    "boolean-on": "5:21 on without quotes is true to some YAML readers",
    "boolean-yes": "1:4 yes without quotes is true to some YAML readers",
    "byte-order-mark-inside": "2:2 a 'key: value' is expected here",
    "code-of-a-string": "7:27 \"__import__('os').system('id')\" does not name code",
    "control-character": "1:4 the control character U+001B is not allowed",
    "delete-character": "1:5 the control character U+007F is not allowed",
    "directive-tag": "1:1 a line may not start with '%'",
    "directive-yaml-1.1": "1:1 a line may not start with '%'",
    "escape-surrogate": "1:7 not YAML: found invalid Unicode character escape code",
    "escape-unknown": "1:10 an unknown escape after '\\'",
    "flow-open": "1:8 a list opened with '[' is not closed",
    "infinite": "4:54 must be a finite number",
    "key-a-list": "1:3 a key must be a word or text",
    "key-a-mapping": "1:5 a key must be a word or text",
    "key-empty": "1:1 indented differently",
    "key-repeated": "3:1 the key 'a' repeats; it is first on line 1",
    "key-repeated-deep": "5:27 the key 'enabled' repeats; it is first on line 5",
    "levels-65": f"1:67 {DEEP}",
    "levels-of-indentation": f"65:65 {DEEP}",
    "levels-through-aliases": f"2:34 {DEEP} through *a",
    "list": "1:1 expected an object with apiVersion, kind, metadata, spec, found a list",
    "merge-key": "3:3 merge keys (<<) are not part of YAML 1.2",
    "name-of-a-path": "3:18 '../../etc/passwd' is not a name",
    "name-with-escapes": "3:18 'a\\n::error::b' is not a name",
    "not-a-number": "4:54 must be a finite number",
    "nul": "1:5 the control character U+0000 is not allowed",
    "number-too-large": "1:4 1e999999999 is too large to be a number",
    "number-too-long": "1:4 a number of 100 characters; at most 64 are read",
    "octal": "1:7 0644 has a leading zero, which some YAML readers take for octal",
    "path-out-of-the-project": "7:36 '../../etc/passwd' leaves the project's root",
    "quote-open": "1:4 a quote that opens here is not closed",
    "reordering-characters": "1:12 the character U+202E shows text in another order than it is read",
    "scalar": "1:1 expected an object with apiVersion, kind, metadata, spec, found the text 'just text'",
    "sexagesimal": "1:5 22:30 without quotes is a number to some YAML readers",
    "tab-before-item": "2:2 a tab; YAML indents with spaces",
    "tab-indents": "2:1 a tab; YAML indents with spaces",
    "tag-binary": f"1:4 {TAGS}",
    "tag-local": f"1:4 {TAGS}",
    "tag-python": f"1:4 {TAGS}",
    "tag-python-new": f"1:4 {TAGS}",
    "tag-undeclared": f"1:4 {TAGS}",
    "tag-verbatim": f"1:4 {TAGS}",
    "underscores": "1:4 1_000_000 without quotes is a number to some YAML readers",
    "utf-16-big": "1:1 encoded as UTF-16; save it as UTF-8",
    "utf-16-little": "1:1 encoded as UTF-16; save it as UTF-8",
    "utf-16-without-mark": "1:2 the control character U+0000 is not allowed",
    "utf-8-broken": "1:7 the byte 0xe9 is not UTF-8; save the file as UTF-8",
    "utf-8-overlong": "1:4 the byte 0xc0 is not UTF-8; save the file as UTF-8",
    "utf-8-surrogate": "1:4 the byte 0xed is not UTF-8; save the file as UTF-8",
    "wrong-parent": "2:1 expected the name of a kind, found a list",
}
"""By file: the place and the start of the message that its author must be told."""

HEAD = "apiVersion: mlops/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n"
VIEW, JOB, DEPLOYMENT = (HEAD.format(kind=kind) for kind in ("FeatureView", "TrainingJob", "ModelDeployment"))
LEVELS = 100_000
COUNT = 9_000


def several(form: str, count: int = COUNT, between: str = ", ") -> str:
    return between.join(form % {"n": number} for number in range(count))


VALID_BUT = VIEW + "  entities: [a]\n  timestamp: t\n  sources: {a: {format: csv, path: x}}\n"
GENERATED = {
    "levels in a spec": VIEW + "  sources: " + "[" * LEVELS + "]" * LEVELS,
    "one line of 900 kB": VIEW + "  timestamp: " + "a" * 900_000 + "\n",
    "a key of 900 kB": VIEW + "  " + "k" * 900_000 + ": 1\n",
    "a kind of 900 kB": "kind: " + "F" * 900_000 + "\n",
    "a name of 900 kB": "kind: FeatureView\nmetadata: {name: " + "-a" * 450_000 + "}\n",
    "a route of 900 kB": DEPLOYMENT + "  serving: {route: /" + "a-" * 450_000 + "}\n",
    "a duration of 900 kB": JOB + "  timeout: " + "1" * 900_000 + "x\n",
    "code of 900 kB": JOB + "  trainer: {function: {entrypoint: " + "a." * 450_000 + "}}\n",
    "a schedule of 900 kB": JOB + '  retrain: {schedule: "' + "1," * 450_000 + ' * * * *"}\n',
    "an estimator of 900 kB": JOB + "  trainer: {sklearn: {estimator: sklearn" + ".a" * 440_000 + "! }}\n",
    "a header of 900 kB": DEPLOYMENT + '  strategy: {canary: {sticky: {header: "' + " a" * 440_000 + '"}}}\n',
    "unknown keys": VIEW + several("  k%(n)d: 1", between="\n") + "\n",
    "unknown keys below": VALID_BUT + f"  expectations: [{several('{unique: [a], x%(n)d: 1}', 5_000)}]\n",
    "repeated columns": VALID_BUT + f"  columns: [{several('{name: a, dtype: Int8}')}]\n",
    "misspelt dtypes": VALID_BUT + f"  columns: [{several('{name: c%(n)d, dtype: Itn%(n)d}')}]\n",
    "entities without columns": VIEW + f"  entities: [{several('e%(n)d', 40_000)}]\n  timestamp: t\n"
    "  sources: {a: {format: csv, path: x}}\n  columns: [{name: a, dtype: Int8}]\n",
    "values of no type": VALID_BUT + f"  expectations: [{{column: a, oneOf: [{several('[%(n)d]', 20_000)}]}}]\n",
    "mappings for texts": JOB + "  dataset: {features: [" + several("{view: v, columns: {a: %(n)d}}", 5_000) + "]}\n",
    "annotations": "kind: FeatureView\nmetadata: {name: a, annotations: {"
    + several("mlops/p%(n)d: x")
    + "}}\nspec: {}\n",
    "keys around": several("k%(n)d: 1", between="\n") + "\n",
    "documents": several("kind: Featureview%(n)d\n", between="---\n"),
    "documents with specs": several(
        "apiVersion: mlops/v1alpha1\nkind: FeatureView\nmetadata: {name: a%(n)d}\nspec: {x: 1}\n", 2_000, "---\n"
    ),
    "documents of one route": several(
        "apiVersion: mlops/v1alpha1\nkind: ModelDeployment\nmetadata: {name: a%(n)d}\nspec: {model: {training: t},"
        " serving: {route: /a/b}, strategy: {recreate: {}}}\n", 1_200, "---\n",
    ),
}  # fmt: skip
SIZES = {"100 MB of NUL": 100_000_000, "1 GB of NUL": 1_000_000_000}

SECONDS = 4.0
"""Of CPU; a generous multiple of the second that is promised, so that a busy machine does not fail the test."""
MEMORY = 1 << 30
"""Of address space for everything together; Python and its packages take a quarter of it before they read anything."""
GROWTH = 250 << 20
"""Of resident memory over all files, of which the largest has 1 GB."""


def told(tmp_path: Path, data: bytes) -> list[Any]:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "bad.yaml").write_bytes(data)
    return list(check(WorktreeSource(tmp_path), WORKTREE, ["specs"], KINDS).problems)


def test_every_file_of_the_corpus_has_its_message() -> None:
    assert {path.stem for path in CORPUS.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.stem)
def test_the_author_is_told_what_is_wrong_and_where(tmp_path: Path, path: Path) -> None:
    problems = told(tmp_path, path.read_bytes())
    place, _, message = EXPECTED[path.stem].partition(" ")

    assert any(f"{one.line}:{one.column}" == place and one.message.startswith(message) for one in problems), [
        str(one) for one in problems
    ]
    assert {one.file for one in problems} == {"specs/bad.yaml"}
    assert all(one.severity == "error" for one in problems)
    assert max(len(str(one)) for one in problems) < 600


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.stem)
def test_no_message_can_drive_a_terminal_or_a_workflow(tmp_path: Path, path: Path) -> None:
    """What a file holds is quoted with escapes: no control character, no line of its own."""
    for problem in told(tmp_path, path.read_bytes()):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", str(problem))


CHILD = """
import json, resource, sys, time
from pathlib import Path
from framework.kinds import KINDS
from framework.specs.read import check
from framework.specs.worktree import WORKTREE, WorktreeSource

def look(folder):
    return check(WorktreeSource(folder), WORKTREE, ["specs"], KINDS).problems

root = Path(sys.argv[1])
look(root / "first")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in sorted(path for path in root.iterdir() if path.name != "first"):
    started = time.process_time()
    problems = look(folder)
    row = {
        "name": folder.name,
        "seconds": time.process_time() - started,
        "growth": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024,
        "errors": sum(one.severity == "error" for one in problems),
        "longest": max((len(str(one)) for one in problems), default=0),
    }
    print(json.dumps(row), flush=True)
"""


def put(root: Path, name: str, data: bytes | int) -> None:
    """A project of one file; a number is the size of a file that takes no room on disk."""
    folder = root / name.replace(" ", "-") / "specs"
    folder.mkdir(parents=True)
    with (folder / "bad.yaml").open("wb") as file:
        if isinstance(data, int):
            file.truncate(data)
        else:
            file.write(data)


@pytest.mark.slow
def test_each_is_answered_within_a_second_and_bounded_memory(tmp_path: Path) -> None:
    put(tmp_path, "first", b"kind: nothing\n")
    for path in CORPUS.iterdir():
        put(tmp_path, path.stem, path.read_bytes())
    for name, text in GENERATED.items():
        put(tmp_path, name, text.encode())
    for name, size in SIZES.items():
        put(tmp_path, name, size)
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (MEMORY, MEMORY))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=250, check=False,
        preexec_fn=limit,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr[-2000:]
    assert len(rows) == len(EXPECTED) + len(GENERATED) + len(SIZES)
    assert [row["name"] for row in rows if row["errors"] == 0] == []
    assert [row for row in rows if row["seconds"] > SECONDS] == []
    assert max(row["growth"] for row in rows) < GROWTH
    assert [row for row in rows if row["longest"] > 1000] == []
