"""What "nothing to do" costs elsewhere: as many unchanged definitions, the whole process, each in its own venv."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Command, FailedError, Timing, timed
from benchmarks.repository import git

SIZES = (100, 500)
MANIFESTS = 1000
_RUNS = 3
_INSTALL_SECONDS = 900
_QUIET = {
    "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "1",
    "DO_NOT_TRACK": "1",
    "FEAST_USAGE": "False",
    "DVC_NO_ANALYTICS": "1",
    "NO_COLOR": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass(frozen=True)
class Peer:
    """``write`` lays out a project of so many definitions; ``prepare`` brings everything up to date, ``look`` finds
    that there is nothing to do. Commands are of the peer's own venv; without ``package`` they are on the PATH."""

    name: str
    package: str
    write: Callable[[Path, int], None]
    prepare: tuple[tuple[str, ...], ...]
    look: tuple[str, ...]
    version: tuple[str, ...]
    sizes: tuple[int, ...] = SIZES


@dataclass(frozen=True)
class Finding:
    """``reason`` says why a peer was not run."""

    peer: str
    look: str
    version: str = ""
    timings: Mapping[int, Timing] = field(default_factory=dict)
    reason: str = ""


def run(peer: Peer, work: Path, say: Callable[[str], None]) -> Finding:
    """Install it below ``work`` unless it is there, and measure. Never raises for what the peer does."""
    shown = " ".join(peer.look)
    try:
        environment = {**os.environ, **_QUIET, "PATH": f"{_tools(peer, work, say)}{os.pathsep}{os.environ['PATH']}"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        version = _version(Command(peer.version, work, environment).run().decode())
        timings = {}
        for size in peer.sizes:
            folder = work / f"{peer.name}-{size}"
            say(f"{peer.name}: {size} definitions")
            if not (folder / ".prepared").exists():
                folder.mkdir(parents=True, exist_ok=True)
                peer.write(folder, size)
                for command in peer.prepare:
                    Command(command, folder, environment).run()
                (folder / ".prepared").touch()
            look = Command(peer.look, folder, environment)
            look.run()
            timings[size] = timed([look.run] * _RUNS)
        return Finding(peer.name, shown, version, timings)
    except (FailedError, OSError, subprocess.SubprocessError) as error:
        return Finding(peer.name, shown, reason=str(error).splitlines()[0][:160])


def _version(said: str) -> str:
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "unknown version"


def _tools(peer: Peer, work: Path, say: Callable[[str], None]) -> Path:
    """The folder of the peer's program."""
    if not peer.package:
        found = shutil.which(peer.look[0])
        if found is None:
            raise FailedError(f"{peer.look[0]} is not on the PATH")
        return Path(found).parent
    folder = work / f"{peer.name}-env"
    if not (folder / ".installed").exists():
        say(f"{peer.name}: installing {peer.package}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        installed = subprocess.run(
            [str(folder / "bin" / "pip"), "install", "--quiet", peer.package],
            check=False, capture_output=True, text=True, timeout=_INSTALL_SECONDS,
        )  # fmt: skip
        if installed.returncode != 0:
            said = installed.stderr.strip().splitlines()
            raise FailedError(f"pip install {peer.package}: {said[-1] if said else 'failed'}")
        (folder / ".installed").touch()
    return folder / "bin"


# -- projects --------------------------------------------------------------------------------------------------------


def _sqlmesh(folder: Path, size: int) -> None:
    (folder / "config.yaml").write_text(
        "gateways:\n  local:\n    connection: {type: duckdb, database: warehouse.db}\n"
        "default_gateway: local\nmodel_defaults: {dialect: duckdb, start: 2024-01-01}\n"
    )
    (folder / "models").mkdir(exist_ok=True)
    for number in range(size):
        source = f"shop.model_{number - 1:04}" if number % 10 else "(SELECT 1 AS id, 2.0 AS delay)"
        (folder / "models" / f"model_{number:04}.sql").write_text(
            f"MODEL (name shop.model_{number:04}, kind FULL, owner team_{number // 10});\n\n"
            f"SELECT id, delay, delay + {number} AS later FROM {source}\n"
        )


def _feast(folder: Path, size: int) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "rows.txt").write_text(  # feast takes every *.py for a part of the repository
        "import pandas as pd\n\n"
        'rows = {"order_id": [1, 2], "delay": [0.5, 1.5], "orders": [3, 4]}\n'
        'rows["hour"] = pd.to_datetime(["2024-01-01", "2024-01-02"])\n'
        'pd.DataFrame(rows).to_parquet("data/rows.parquet")\n'
    )
    (folder / "feature_store.yaml").write_text(
        "project: shop\nprovider: local\nregistry: data/registry.db\n"
        "online_store: {type: sqlite, path: data/online.db}\nentity_key_serialization_version: 3\n"
    )
    (folder / "views.py").write_text(
        "from datetime import timedelta\n\nfrom feast import Entity, FeatureView, Field, FileSource\n"
        "from feast.types import Float64, Int64\n\n"
        'order = Entity(name="order", join_keys=["order_id"])\n\n'
        f"for number in range({size}):\n"
        '    source = FileSource(name=f"source_{number}", path="data/rows.parquet", timestamp_field="hour")\n'
        '    globals()[f"view_{number}"] = FeatureView(\n'
        '        name=f"view_{number}", entities=[order], ttl=timedelta(days=2), source=source,\n'
        '        schema=[Field(name="delay", dtype=Float64), Field(name="orders", dtype=Int64)],\n    )\n'
    )


def _dvc(folder: Path, size: int) -> None:
    git(folder, "init", "-q")
    stages = []
    for number in range(size):
        for kind in ("in", "out"):
            (folder / f"{kind}{number:04}.txt").write_text(f"{kind} {number}\n")
        stages.append(
            f"  stage{number:04}:\n    cmd: cp in{number:04}.txt out{number:04}.txt\n"
            f"    deps: [in{number:04}.txt]\n    outs: [out{number:04}.txt]\n"
        )
    (folder / "dvc.yaml").write_text("stages:\n" + "".join(stages))


def _kustomize(folder: Path, size: int) -> None:
    names = [f"deployment-{number:04}.yaml" for number in range(size)]
    (folder / "kustomization.yaml").write_text("resources:\n" + "".join(f"  - {name}\n" for name in names))
    for number, name in enumerate(names):
        variables = "".join(
            f"            - name: SETTING_{index}\n              value: '{index}'\n" for index in range(12)
        )
        (folder / name).write_text(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: model-{number:04}\n"
            f"  labels:\n    team: t{number}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n"
            f"      app: model-{number:04}\n  template:\n    metadata:\n      labels:\n        app: model-{number:04}\n"
            f"    spec:\n      containers:\n        - name: model\n          image: model:{number}\n"
            f"          env:\n{variables}"
        )


PEERS = (
    Peer(
        "sqlmesh", "sqlmesh", _sqlmesh, (("sqlmesh", "plan", "--no-prompts", "--auto-apply"),),
        ("sqlmesh", "plan", "--no-prompts"), ("sqlmesh", "--version"),
    ),
    Peer(
        "feast", "feast", _feast, (("python", "rows.txt"), ("feast", "apply", "--skip-source-validation")),
        ("feast", "plan", "--skip-source-validation"), ("feast", "version"),
    ),
    Peer(
        "dvc", "dvc", _dvc, (("dvc", "init", "--quiet"), ("dvc", "commit", "--force", "--quiet")),
        ("dvc", "status"), ("dvc", "--version"),
    ),
    Peer(
        "kustomize", "", _kustomize, (), ("kubectl", "kustomize", "."), ("kubectl", "version", "--client"), (MANIFESTS,)
    ),
)  # fmt: skip
