"""A repository of any number of specs, the same bytes every time: what the benchmarks read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TEAM = 10
"""Specs of one team: four FeatureViews, three TrainingJobs, two ModelDeployments and a ModelMonitor."""
PACKAGES = 20
"""Packages of user code, which teams share."""
SPECS = "mlops_specs"

_ENVIRONMENT = """\
apiVersion: mlops/v1alpha1
kind: Environment
metadata:
  name: local
spec:
  storage: .mlops/store
"""

_SPINE = """\
# One row per order that a prediction is wanted for, at the moment it is wanted.
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata:
  name: orders-{team}
  owner: team-{team}
  description: Orders of team {team} and whether they arrived late
  labels:
    domain: logistics
    tier: "{tier}"
spec:
  entities: [order_id]
  timestamp: ordered
  sources:
    orders:
      format: parquet
      path: data/team-{team}/orders.parquet
  transform:
    function: shop.part{package}.features:orders
  columns:
    - name: order_id
      dtype: Int64
    - name: ordered
      dtype: Datetime
      description: When the order was placed, in UTC
    - name: customer
      dtype: String
    - name: region
      dtype: String
    - name: weight
      dtype: Float64
      description: Kilograms
    - name: weekday
      dtype: Int32
    - name: hour
      dtype: Datetime
      description: Start of the hour in which it was placed, in UTC
    - name: delay
      dtype: Float64
      description: Minutes by which the order before it was late
    - name: late
      dtype: Boolean
      description: Arrived more than a day after it was promised
  expectations:
    - unique: [order_id]
    - column: region
      oneOf: [north, east, south, west]
    - column: weight
      between: [0, {limit}]
      tolerance: 0.001
    - column: late
      notNull: true
    - rows:
        min: 1000
"""

_VIEW = """\
# What is known of a {entity} before an order is placed.
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata:
  name: {entity}-{team}
  owner: team-{team}
  description: Rolling figures by {entity} for team {team}
  labels:
    domain: logistics
    tier: "{tier}"
spec:
  entities: [{entity}]
  timestamp: hour
  sources:
    events:
{source}
  transform:
    sql: |
      SELECT
        {entity},
        hour,
        avg(delay) AS {entity}_mean_delay,
        max(delay) AS {entity}_max_delay,
        count(*) AS {entity}_orders
      FROM events
      WHERE delay < {limit}
      GROUP BY {entity}, hour
  columns:
    - name: {entity}
      dtype: String
    - name: hour
      dtype: Datetime
      description: Start of the hour, in UTC
    - name: {entity}_mean_delay
      dtype: Float64
      description: Minutes
    - name: {entity}_max_delay
      dtype: Float64
    - name: {entity}_orders
      dtype: Int64
  expectations:
    - unique: [{entity}, hour]
    - column: {entity}_mean_delay
      between: [-120, {limit}]
    - rows:
        min: 100
"""
_FROM_FILE = """\
      format: csv
      path: data/team-{team}/{entity}.csv
      options:
        nullValues: ["", "NA"]"""
_FROM_VIEW = """\
      featureView: orders-{team}"""

_TRAINING = """\
# Will this order arrive late?
apiVersion: mlops/v1alpha1
kind: TrainingJob
metadata:
  name: late-{variant}-{team}
  owner: team-{team}
  labels:
    tier: "{tier}"
spec:
  dataset:
    spine: orders-{team}
    columns: [region, weight, weekday]
    features:
      - view: customer-{team}
        columns: [customer_mean_delay, customer_orders]
        maxAge: 2d
      - view: region-{team}
        columns: [region_mean_delay, region_max_delay]
        maxAge: 3h
    label: late
    window:
      from: 2024-01-01
      to: 2024-04-01
    split:
      by: time
      fractions:
        train: 0.7
        validation: 0.15
        test: 0.15
  trainer:
{trainer}
  resources:
    workers: 1
    cpusPerWorker: 1
  seed: {seed}
  evaluation:
    gates:
      - metric: auc
        min: 0.6
      - metric: auc
        comparedTo: live
        maxDrop: 0.005
  retries:
    limit: 2
    backoff: 5s
  timeout: 10m
"""
_TRAINERS: Mapping[str, str] = {
    "trees": """\
    lightgbm:
      params:
        max_depth: {depth}
      rounds: {rounds}""",
    "linear": """\
    sklearn:
      estimator: sklearn.linear_model.LogisticRegression
      params:
        C: 0.{depth}""",
    "own": """\
    function:
      entrypoint: shop.part{package}.train:train
      params:
        rounds: {rounds}""",
}

_DEPLOYMENT = """\
# The endpoint of the {variant} model.
apiVersion: mlops/v1alpha1
kind: ModelDeployment
metadata:
  name: late-{variant}-{team}
  owner: team-{team}
  labels:
    tier: "{tier}"
spec:
  model:
    training: late-{variant}-{team}
    version: latest
  serving:
    route: /team-{team}/late-{variant}
    replicas:
      min: 1
      max: 2
    resources:
      cpus: 0.5
    transformer: shop.part{package}.serving:tidy
    profiling:
      flush: 2s
      key: order_id
    timeout: 2s
    maxQueued: 200
  strategy:
    canary:
      steps:
        - setWeight: 10
        - analyze:
            for: 8s
        - setWeight: 50
        - analyze:
            for: 8s
        - setWeight: 100
      analysis:
        - metric: error_rate
          maxIncrease: 0.02
        - metric: latency_p95
          maxRatio: 4
      falseAlarmRate: 0.01
      minRequests: {requests}
      onInconclusive: pause
"""

_MONITOR = """\
# What is watched once the model serves.
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata:
  name: late-{team}
  owner: team-{team}
  labels:
    tier: "{tier}"
spec:
  deployment: late-trees-{team}
  window: 5m
  drift:
    statistic: psi
    threshold: 0.2
    falseAlarmRate: 0.01
  performance:
    labels:
      view: orders-{team}
      key: order_id
      column: late
    metric: auc
    maxDrop: 0.05
  quality:
    maxNullRate: 0.05
  alerts:
    - file: alerts-{team}.jsonl
"""

_CODE: Mapping[str, str] = {
    "__init__.py": "",
    "features.py": '"""Features."""\n\nimport math\n\n\ndef orders(raw):\n    return raw, math.pi\n',
    "train.py": '"""Training."""\n\nfrom shop.part{package} import features\n\n\ndef train(data, params, seed):\n'
    "    return features.orders(data), params\n",
    "serving.py": '"""Serving."""\n\n\ndef tidy(rows):\n    return rows\n',
}


def files(specs: int) -> Iterator[tuple[str, str]]:
    """Path and text of ``specs`` specs, of the Environment and of the code that they name."""
    yield f"{SPECS}/environments/local.yaml", _ENVIRONMENT
    yield from _code()
    for number in range(specs):
        team, place = divmod(number, TEAM)
        folder, name, text = _member(team, place)
        yield f"{SPECS}/{folder}/{team // 100:03d}/{name}.yaml", text


def _code() -> Iterator[tuple[str, str]]:
    yield "shop/__init__.py", ""
    for package in range(PACKAGES):
        for name, text in _CODE.items():
            yield f"shop/part{package}/{name}", text.format(package=package)


def _member(team: int, place: int) -> tuple[str, str, str]:
    """Folder, file name and text of one of a team's specs."""
    values = {"team": f"{team:04d}", "package": team % PACKAGES, "tier": team % 3 + 1, "limit": 1000 + team % 50}
    if place == 0:
        return "features", f"orders-{values['team']}", _SPINE.format(**values)
    if place <= 3:
        entity = ("customer", "region", "weekday")[place - 1]
        source = (_FROM_FILE if place < 3 else _FROM_VIEW).format(entity=entity, **values)
        return "features", f"{entity}-{values['team']}", _VIEW.format(entity=entity, source=source, **values)
    if place <= 6:
        variant = ("trees", "linear", "own")[place - 4]
        more = {"depth": 3 + team % 5, "rounds": 50 + team % 100, "seed": team % 11}
        trainer = _TRAINERS[variant].format(**values, **more)
        text = _TRAINING.format(variant=variant, trainer=trainer, **values, **more)
        return "training", f"late-{variant}-{values['team']}", text
    if place <= 8:
        variant = ("trees", "linear")[place - 7]
        text = _DEPLOYMENT.format(variant=variant, requests=50 + team % 100, **values)
        return "deployments", f"late-{variant}-{values['team']}", text
    return "monitoring", f"late-{values['team']}", _MONITOR.format(**values)


@dataclass(frozen=True)
class Repository:
    """Its commits, each on top of the one before: ``empty`` has the Environment only, ``full`` all specs; each of
    ``notes`` changes a file that is no spec, each of ``edits`` one spec. ``lines`` is the mean of a spec."""

    root: Path
    specs: int
    lines: float
    empty: str
    full: str
    notes: tuple[str, ...]
    edits: tuple[str, ...]


def make(root: Path, specs: int, rounds: int) -> Repository:
    """Write the repository into ``root``, an empty folder, with ``rounds`` commits of either kind of change."""
    git(root, "init", "-q", "-b", "main")
    texts = dict(files(specs))
    environment = f"{SPECS}/environments/local.yaml"
    _write(root, {environment: texts[environment], ".gitignore": ".mlops/\n"})
    empty = _commit(root, "An environment")
    _write(root, texts)
    full = _commit(root, f"{specs:,} specs")
    notes = []
    for number in range(rounds):
        _write(root, {"README.md": f"Specs of a shop, {number}.\n"})
        notes.append(_commit(root, f"A note, {number}"))
    edited = f"{SPECS}/training/000/late-trees-0000.yaml"
    edits = []
    for number in range(rounds):
        _write(root, {edited: texts[edited].replace("min: 0.6", f"min: 0.6{number + 1:02}")})
        edits.append(_commit(root, f"A stricter gate, {number}"))
    own = [text for path, text in texts.items() if path.startswith(SPECS)]
    mean = sum(text.count("\n") for text in own) / len(own)
    return Repository(root, specs, mean, empty, full, tuple(notes), tuple(edits))


def commit_of(root: Path, specs: Mapping[str, str]) -> str:
    """A repository in ``root``, an empty folder, that holds these specs by their path below the folder of specs."""
    git(root, "init", "-q", "-b", "main")
    _write(root, {".gitignore": ".mlops/\n", **{f"{SPECS}/{path}": text for path, text in specs.items()}})
    return _commit(root, f"{len(specs):,} specs")


def _write(root: Path, texts: Mapping[str, str]) -> None:
    for folder in {(root / path).parent for path in texts}:
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        (root / path).write_text(text)


def _commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD").strip()


def git(root: Path, *arguments: str) -> str:
    """Run git there, apart from the settings of the machine and the user."""
    quiet = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "benchmark"), ("EMAIL", "benchmark@localhost"), ("DATE", "1700000000 +0000"))},
    }  # fmt: skip
    options = ["-c", "gc.auto=0", "-c", "core.fsync=none"]
    return subprocess.run(
        ["git", *options, *arguments], cwd=root, env={**os.environ, **quiet}, check=True, capture_output=True, text=True
    ).stdout
