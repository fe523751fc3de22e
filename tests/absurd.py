"""Specs that use the whole language, and what nobody in their right mind would write into one field of them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

_COLUMNS = [
    {"name": "flight", "dtype": "Int64"},
    {"name": "at", "dtype": "Datetime"},
    {"name": "carrier", "dtype": "String"},
    {"name": "distance", "dtype": "Float64", "description": "in miles"},
    {"name": "delayed", "dtype": "Boolean"},
]
_FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {
        "name": name,
        "owner": "flights-team",
        "description": "what it is for",
        "labels": {"team": "flights"},
        "annotations": {"note": "a word"},
    }
    return {"apiVersion": "mlops/v1alpha1", "kind": kind, "metadata": metadata, "spec": dict(spec)}


WHOLE: Mapping[str, dict[str, Any]] = {
    "departures": _object(
        "FeatureView",
        "departures",
        {
            "entities": ["flight"],
            "timestamp": "at",
            "sources": {"flights": {"format": "csv", "path": "data/flights.csv", "options": {"separator": ","}}},
            "transform": {"sql": "SELECT * FROM flights"},
            "columns": _COLUMNS,
            "expectations": [
                {"column": "distance", "between": [0, 5000], "tolerance": 0.001},
                {"column": "carrier", "oneOf": ["AA", "UA"]},
                {"column": "carrier", "matches": "[A-Z]{2}"},
                {"column": "distance", "quantile": {"q": 0.5, "min": 10, "max": 4000}},
                {"column": "distance", "notNull": True},
                {"unique": ["flight"]},
                {"rows": {"min": 10, "max": 1_000_000}},
                {"freshness": "2d"},
                {"sql": "distance > 0"},
            ],
            "materialization": {"mode": "full", "every": "5m"},
            "deletion": "keep",
        },
    ),
    "copy": _object(
        "FeatureView",
        "copy",
        {
            "entities": ["flight"],
            "timestamp": "at",
            "sources": {"departures": {"featureView": "departures"}},
            "transform": {"sql": "SELECT flight, at, distance AS miles FROM departures"},
            "columns": [*_COLUMNS[:2], {"name": "miles", "dtype": "Float64"}],
        },
    ),
    "classifier": _object(
        "TrainingJob",
        "classifier",
        {
            "dataset": {
                "spine": "departures",
                "columns": ["carrier"],
                "features": [{"view": "copy", "columns": ["miles"], "maxAge": "2d", "delay": "1m"}],
                "label": "delayed",
                "window": {"from": "2013-01-01", "to": "2013-04-01"},
                "split": {"by": "time", "fractions": _FRACTIONS},
            },
            "trainer": {"lightgbm": {"params": {"num_leaves": 15, "eta": 0.1}, "rounds": 50}},
            "tune": {
                "search": {
                    "eta": {"loguniform": [0.01, 0.3]},
                    "num_leaves": {"randint": [3, 10]},
                    "lambda_l1": {"uniform": [0, 1]},
                    "boosting": {"choice": ["gbdt", "dart"]},
                },
                "metric": "validation_auc",
                "mode": "max",
                "trials": 5,
                "concurrency": 2,
                "algorithm": "optuna",
                "scheduler": "asha",
                "budget": "10m",
            },
            "resources": {"workers": 1, "cpusPerWorker": 1.5, "gpusPerWorker": 0.5},
            "seed": 7,
            "evaluation": {
                "gates": [{"metric": "auc", "min": 0.6}, {"metric": "auc", "comparedTo": "live", "maxDrop": 0.01}],
                "slices": [{"by": "carrier", "metric": "auc", "min": 0.5, "minRows": 10}],
            },
            "checkpoint": {"every": 1, "keep": 2},
            "retries": {"limit": 2, "backoff": "30s"},
            "timeout": "1h",
            "deletion": "keep",
        },
    ),
    "delay": _object(
        "ModelDeployment",
        "delay",
        {
            "model": {"training": "classifier", "version": "latest"},
            "serving": {
                "route": "/delay",
                "replicas": {"min": 1, "max": 2, "targetOngoingRequests": 8},
                "resources": {"cpus": 0.5, "gpus": 0.25},
                "batching": {"maxSize": 64, "wait": "2ms"},
                "profiling": {"flush": "10s", "key": "flight"},
                "timeout": "2s",
                "maxQueued": 200,
            },
            "strategy": {
                "canary": {
                    "steps": [
                        {"setWeight": 10},
                        {"analyze": {"for": "10s"}},
                        {"pause": {"for": "5s"}},
                        {"setWeight": 100},
                    ],
                    "sticky": {"header": "x-user"},
                    "match": {"header": {"x-canary": "always"}},
                    "analysis": [
                        {"metric": "error_rate", "maxIncrease": 0.02},
                        {"metric": "latency_p95", "maxRatio": 1.5},
                        {"metric": "latency_p99", "max": 2},
                    ],
                    "falseAlarmRate": 0.01,
                    "minRequests": 100,
                    "onInconclusive": "promote",
                    "shield": True,
                    "abort": {"scaleDownDelay": "2s"},
                    "scaleDownDelay": "5s",
                    "startDeadline": "5m",
                    "rollbackWindow": {"revisions": 3},
                }
            },
        },
    ),
    "monitor": _object(
        "ModelMonitor",
        "monitor",
        {
            "deployment": "delay",
            "window": "30s",
            "reference": "training",
            "drift": {
                "statistic": "psi",
                "threshold": 0.2,
                "columns": ["carrier", "miles"],
                "falseAlarmRate": 0.01,
                "statistics": {"miles": "ks"},
            },
            "performance": {
                "labels": {"view": "departures", "key": "flight", "column": "delayed"},
                "metric": "auc",
                "maxDrop": 0.05,
                "window": "1h",
                "minLabels": 50,
            },
            "quality": {"maxNullRate": 0.05, "unseenCategories": 0.01},
            "minRows": 20,
            "alerts": [{"webhook": {"urlFrom": {"env": "ALERT_URL"}}}, {"file": ".mlops/alerts.jsonl"}],
        },
    ),
    "local": _object(
        "Environment",
        "local",
        {
            "ray": {"address": "embedded", "cpus": 2, "gpus": 1, "dashboardPort": 8265, "servePort": 8000},
            "storage": ".mlops/store",
            "state": "sqlite:///.mlops/state.db",
            "connections": {"warehouse": {"url": "sqlite:///.mlops/warehouse.db"}},
            "quotas": {"gpus": 8, "cpus": 16, "runs": 4},
            "policies": [
                {
                    "kind": "ModelDeployment",
                    "require": ["serving.replicas"],
                    "forbid": ["strategy.recreate"],
                    "limits": [{"path": "serving.replicas.max", "min": 1, "max": 16}],
                    "deny": ["Breaking"],
                    "message": "a word with the platform team",
                }
            ],
            "patches": [
                {
                    "target": {"kind": "ModelDeployment", "name": "delay", "labels": {"team": "flights"}},
                    "patch": {"serving": {"maxQueued": 100}},
                },
                {
                    "target": {"kind": "ModelMonitor", "name": "monitor"},
                    "jsonPatch": [
                        {"op": "replace", "path": "/minRows", "value": 30},
                        {"op": "copy", "from": "/minRows", "path": "/performance/minLabels"},
                    ],
                },
            ],
            "suspend": False,
            "windows": [{"deny": "* 22-23 * * *", "timezone": "Europe/Vienna"}],
            "deletion": {"prune": True, "data": "keep", "maxShare": 0.5},
        },
    ),
}
"""By the stem of its file: objects that this version executes, every field of theirs set."""

LATER: Mapping[str, dict[str, Any]] = {
    "orders": _object(
        "FeatureView",
        "orders",
        {
            "entities": ["flight"],
            "timestamp": "at",
            "sources": {"orders": {"sql": "SELECT * FROM orders", "connection": "warehouse"}},
            "columns": _COLUMNS,
            "materialization": {"mode": "incremental", "schedule": "0 * * * *", "retention": "90d"},
            "online": {"enabled": True, "ttl": "7d"},
        },
    ),
    "boosted": _object(
        "TrainingJob",
        "boosted",
        {
            "dataset": {
                "spine": "departures",
                "columns": ["distance"],
                "features": [{"view": "orders", "columns": ["distance"], "prefix": "ordered_"}],
                "label": "delayed",
                "window": {"last": "90d"},
                "split": {"by": "time", "at": {"validation": "2013-02-01", "test": "2013-03-01"}},
            },
            "trainer": {"xgboost": {"params": {"eta": 0.1}, "rounds": 200}},
            "resources": {
                "workers": 2,
                "accelerator": "H100",
                "labels": {"pool": "in(a, b)"},
                "elastic": {"min": 1, "max": 4},
            },
            "evaluation": {
                "fairness": [{"attribute": "carrier", "metric": "demographic_parity_difference", "max": 0.2}]
            },
            "retrain": {"schedule": "0 3 * * 1", "onDrift": ["monitor"], "mode": "pullRequest", "cooldown": "24h"},
        },
    ),
    "shadowed": _object(
        "ModelDeployment",
        "shadowed",
        {
            "model": {"training": "boosted"},
            "serving": {"route": "/shadowed", "replicas": {"max": 1}, "onlineFeatures": ["orders"]},
            "strategy": {"shadow": {"for": "1h", "fraction": 0.5}},
        },
    ),
    "nightly": _object(
        "BatchInference",
        "nightly",
        {
            "model": {"training": "boosted", "version": "latest"},
            "input": {"view": "departures", "window": {"last": "1d"}},
            "output": {"format": "delta", "path": "predictions/delay"},
            "schedule": "0 5 * * *",
            "resources": {"workers": 2, "cpusPerWorker": 1, "gpusPerWorker": 0},
        },
    ),
    "segments": _object(
        "ModelMonitor",
        "segments",
        {
            "deployment": "shadowed",
            "window": "5m",
            "segments": ["carrier"],
            "reference": {"window": "7d"},
            "drift": {},
            "alerts": [{"webhook": {"url": "http://127.0.0.1:9000/hook"}}],
            "actions": [{"on": "drift", "retrain": "boosted"}],
        },
    ),
}
"""The same of what this version does not execute."""

_NUMBERS: Sequence[Any] = (
    -1, 0, 1, -0.0, 0.5, 5e-324, 1e-300, 1e308, -1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64,
    10**15, 10**63,
)  # fmt: skip
_DURATIONS = ("0s", "0.0001ms", "0.001ms", "1ms", "36500d", "36501d", "99999999999d", f"{'9' * 60}s", "1e5d", "-1s")
_DATES = (
    "0001-01-01", "9999-12-31", "1677-09-20", "2262-04-12", "2013-02-30", "2013-01-01T00:00:00Z", "20130101",
)  # fmt: skip
_CRONS = ("*/90 * * * *", "0 0 31 2 *", "* * * * *", "59 23 31 12 7", f"{'0,' * 2000}0 * * * *", "@daily", "0 0 * * 9")
_TEXTS = (
    "", " ", "\0", "a\0b", "\x1b[31m", "x" * 100_000, "\u2028", "\u202e", "\ufffe", "🦜", "..", "../..", "/etc/passwd",
    "~root", "${HOME}", "{{ x }}", "{0}", "%s", "'; DROP TABLE x; --", "a\nb", "[", "(", "*", "**", "//", "http://[",
    "http://[::1", "http://a:b@c:d/", "http://h:99999999/", "file://", "sqlite://", "sqlite:///", "postgresql://",
    "s3://", "memory://", "simplecache::file:///etc", "::", "-rf", "con", "__proto__", "null", "1e999", "latest",
)  # fmt: skip
_OTHERS: Sequence[Any] = (None, True, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, "x", 7)
_DURATION, _DATE, _CRON = re.compile(r"\d+(ms|s|m|h|d)"), re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"(\S+ ){4}\S+")


class Absurd(NamedTuple):
    """``value`` instead of what stands at ``path`` of the object in the file ``stem``."""

    stem: str
    path: Path
    value: Any

    def text(self, objects: Mapping[str, dict[str, Any]]) -> str:
        """The object as YAML, which JSON is."""
        document = copy.deepcopy(objects[self.stem])
        parent: Any = document
        for part in self.path[:-1]:
            parent = parent[part]
        parent[self.path[-1]] = self.value
        return json.dumps(document, ensure_ascii=True)


def texts(objects: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The objects as files."""
    return {f"mlops_specs/{stem}.yaml": json.dumps(document) for stem, document in objects.items()}


def paths(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place below ``value``, with what stands there."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        yield (*at, key), item
        yield from paths(item, (*at, key))


def absurdities(objects: Mapping[str, dict[str, Any]]) -> list[list[Absurd]]:
    """For every place of every object, what could be written there instead."""
    return [
        [Absurd(stem, path, value) for value in _instead_of(old)]
        for stem, document in objects.items()
        for path, old in paths(document)
        if path[0] in {"metadata", "spec"}
    ]


def _instead_of(old: Any) -> Sequence[Any]:
    if isinstance(old, bool) or old is None or isinstance(old, Mapping | list):
        return _OTHERS
    if isinstance(old, int | float):
        return (*_NUMBERS, *_OTHERS)
    forms = ((_DURATION, _DURATIONS), (_DATE, _DATES), (_CRON, _CRONS))
    own = next((values for form, values in forms if form.fullmatch(old)), ())
    return (*own, *_TEXTS, *_OTHERS)
