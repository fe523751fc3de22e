"""Workflow files as tests look at them: parsed, and their steps run on this machine."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
SCAFFOLD = ROOT / "controllers" / "scaffold" / "project" / "dot_github" / "workflows"
OURS = ROOT / ".github" / "workflows"

INSTALLS = {
    "sed 's/\\[[^]]*\\]//' \"$PROJECT/requirements.txt\" | python -m pip install --quiet --requirement /dev/stdin": (
        "python -m pip install --quiet --constraint requirements.lock ."
    ),
    'python -m pip install --quiet --requirement "$PROJECT/requirements.txt"': (
        "python -m pip install --quiet --constraint requirements.lock '.[embedded]'"
    ),
}
"""How a project installs mlopsctl -> how this repository, which is mlopsctl, does."""

Step = Mapping[str, Any]


def parsed(path: Path) -> dict[str, Any]:
    """As YAML 1.2, where ``on`` is a word."""
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text())
    return found


def steps(workflow: Mapping[str, Any]) -> Iterator[Step]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def step(workflow: str, name: str) -> Step:
    (found,) = [one for one in steps(parsed(SCAFFOLD / f"{workflow}.yml")) if one.get("name") == name]
    return found


@dataclass
class Runner:
    """What a step finds on GitHub's machine: the work tree, ``RUNNER_TEMP``, files for outputs and the summary."""

    folder: Path
    temp: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.temp.mkdir(parents=True, exist_ok=True)
        programs = self.temp / "bin"
        programs.mkdir(exist_ok=True)
        for name, words in {"mlopsctl": "-m controllers.cli.main", "python": ""}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (programs / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.temp / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.temp / "output.txt"),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"),
            "PROJECT": ".",
            **self.variables,
        }

    def run(self, one: Step, timeout: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
        """A ``run`` step, in the shell that GitHub would take."""
        script = self.temp / "step"
        script.write_text(one["run"])
        shell = {
            "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            "python": [sys.executable, str(script)],
        }[one.get("shell", "bash")]
        return subprocess.run(
            shell, cwd=self.folder, env={**self.environment, **variables}, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    @property
    def summary(self) -> str:
        return _text(self.temp / "summary.md")

    @property
    def outputs(self) -> dict[str, str]:
        lines = _text(self.temp / "output.txt").splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def javascript(self, one: Step, context: Mapping[str, Any], answers: Sequence[Answer], **variables: str) -> Played:
        """A step of actions/github-script, against answers instead of GitHub. Git commands are run for real."""
        case = self.temp / "case.json"
        listed = [{"call": item.call, "data": item.data, "where": item.where} for item in answers]
        case.write_text(json.dumps({"script": one["with"]["script"], "context": context, "answers": listed}))
        (self.temp / "player.js").write_text(_PLAYER)
        done = subprocess.run(
            ["node", str(self.temp / "player.js"), str(case)], cwd=self.folder,
            env={**self.environment, **variables}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return Played(**json.loads(done.stdout))


@dataclass(frozen=True)
class Answer:
    """What GitHub answers to ``call`` (``issues.createComment``) whose arguments agree with ``where``."""

    call: str
    data: Any = None
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Played:
    """What a script did: calls with arguments, what it told, its outputs."""

    calls: list[tuple[str, dict[str, Any]]]
    told: list[tuple[str, str]]
    outputs: dict[str, Any]

    def called(self, name: str) -> list[dict[str, Any]]:
        return [arguments for call, arguments in self.calls if call == name]


def zipped(data: bytes) -> dict[str, str]:
    """Bytes, as an Answer's data."""
    return {"base64": base64.b64encode(data).decode()}


HAS_NODE = shutil.which("node") is not None


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


_PLAYER = """
const fs = require('fs');
const { spawnSync } = require('child_process');
const { script, context, answers } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const calls = [], told = [], outputs = {};
const ask = (call) => async (args) => {
  calls.push([call, args]);
  const fits = (one) => one.call === call && Object.entries(one.where).every(([key, value]) => args[key] === value);
  const found = answers.find(fits);
  if (!found) throw new Error(`no answer to ${call} ${JSON.stringify(args)}`);
  return { data: found.data && found.data.base64 ? Buffer.from(found.data.base64, 'base64') : found.data };
};
const spaces = (space) => new Proxy({}, { get: (_, name) => ask(`${space}.${name}`) });
const rest = new Proxy({}, { get: (_, space) => spaces(space) });
const paginate = async (call, args) => {
  const { data } = await call(args);
  return Array.isArray(data) ? data : Object.values(data).find(Array.isArray);
};
const tell = (word) => (text) => { told.push([word, String(text)]); };
const core = {
  notice: tell('notice'), warning: tell('warning'), setFailed: tell('failed'),
  setOutput: (name, value) => { outputs[name] = value; },
};
const exec = {
  getExecOutput: async (program, words) => {
    const done = spawnSync(program, words, { encoding: 'utf8' });
    return { stdout: done.stdout, stderr: done.stderr, exitCode: done.status };
  },
};
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
const play = new AsyncFunction('github', 'context', 'core', 'exec', 'require', script);
play({ rest, paginate }, context, core, exec, require)
  .then(() => process.stdout.write(JSON.stringify({ calls, told, outputs })))
  .catch((error) => { console.error(error); process.exit(1); });
"""
