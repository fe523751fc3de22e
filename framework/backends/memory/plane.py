"""A data plane in memory on which everything goes well, unless told otherwise: runs end, apps start, callers call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from framework.api.perturbations import Perturbation, amount_of
from framework.backends.memory.data import MemoryTables
from framework.backends.memory.online import MemoryOnline
from framework.backends.memory.runs import Clock, MemoryRuns
from framework.backends.memory.serving import MemoryServing
from framework.planning.grammar.fingerprint import short_hash
from framework.ports import (
    MEANING,
    Json,
    MaterializeRequest,
    OnlineRequest,
    OnlineVersion,
    ReadTable,
    ReadView,
    RunSpec,
    TableState,
    file_list,
    online_version,
)

ASSUMED_METRIC = 0.7
"""Of a model that no gate asks more of."""


def passing_metrics(payload: Mapping[str, Any]) -> dict[str, float]:
    """The least that satisfies every gate of the training job whose run has this payload."""
    gates = payload["spec"].get("evaluation", {}).get("gates", ())
    return {"auc": ASSUMED_METRIC} | dict(_bars(gates))


def passing_slices(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A part of the test rows for each bar on parts, large and good enough."""
    bars = payload["spec"].get("evaluation", {}).get("slices", ())
    return [
        {
            "by": bar["by"],
            "value": "any",
            "metric": bar["metric"],
            "score": next((bar[end] for end in ("min", "max") if bar.get(end) is not None), ASSUMED_METRIC),
            "rows": bar.get("minRows", 0),
        }
        for bar in bars
    ]


def passing_fairness(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Groups that are treated alike, for each bar on fairness."""
    bars = payload["spec"].get("evaluation", {}).get("fairness", ())
    groups = [{"group": group, "rows": 1, "values": {"any": 0.0}} for group in ("one", "another")]
    return [
        {**_of(bar, "attribute", "metric", "loss", "minRows"), "value": 0.0, "groups": groups, "problem": ""}
        for bar in bars
    ]


def passing_robustness(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each bar on disturbed rows the same value as on those that are not."""
    bars = payload["spec"].get("evaluation", {}).get("robustness", ())
    return [
        {
            **_of(bar, "perturb", "metric"),
            "amount": amount_of(Perturbation(bar["perturb"]), bar.get("amount")),
            "columns": [] if bar.get("columns", "all") == "all" else list(bar["columns"]),
            "clean": ASSUMED_METRIC,
            "value": ASSUMED_METRIC,
            "problem": "",
        }
        for bar in bars
    ]


def _joined(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Inputs that come of other views than the spine, as a signature has them."""
    for feature in payload["spec"]["dataset"].get("features", ()):
        view = payload["views"][feature["view"]]
        own = {*view["entities"], view.get("timestamp"), view.get("available")}
        asked = feature.get("columns", "all")
        for name, dtype in view["columns"]:
            if name not in own if asked == "all" else name in asked:
                yield {
                    "name": f"{feature.get('prefix') or ''}{name}",
                    "dtype": dtype,
                    "nullable": True,
                    "categories": [],
                }


def _of(bar: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {field: bar.get(field) for field in fields}


def _bars(gates: Any) -> Iterator[tuple[str, float]]:
    for gate in gates:
        low, high = gate.get("min"), gate.get("max")
        yield gate["metric"], low if low is not None else high if high is not None else ASSUMED_METRIC


def passing_forms(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Every other form that a spec asks for is made, and may serve."""
    export, folder = payload["spec"].get("export") or {}, payload["model_folder"]
    asked = {"onnx": export.get("onnx", "never") != "never", "quantized": export.get("quantize") is not None}
    return {
        name: {"passed": True, "reason": "", "artifact": f"{folder}/{name}", "sha256": "1" * 64, "format": "onnx"}
        for name, wanted in asked.items()
        if wanted
    }


@dataclass
class DataPlane:
    """``seconds`` says how long a run takes, ``metrics`` how good a model is (by the run's payload), ``forms`` in which
    it may serve besides, ``error_rate`` how an app behaves. Callers make ``requests_per_second`` on every route."""

    runs: MemoryRuns
    serving: MemoryServing
    tables: MemoryTables
    online: MemoryOnline
    clock: Clock
    seconds: Callable[[RunSpec], float] = lambda run: 0.0
    metrics: Callable[[Mapping[str, Json]], Mapping[str, float]] = passing_metrics
    forms: Callable[[Mapping[str, Json]], Mapping[str, Any]] = passing_forms
    error_rate: Callable[[str], float] = lambda app: 0.0
    requests_per_second: float = 100.0
    values: Callable[[MaterializeRequest], str] = lambda asked: asked.build
    """What a table holds, in a word: equal words, equal rows. As nobody computes anything, another build is taken to
    come to other rows."""
    _began: dict[str, datetime] = field(default_factory=dict)

    def advance(self, elapsed: timedelta) -> None:
        """``elapsed`` has passed since the last call; the clock is there already."""
        now = self.clock()
        for run in self.runs.active():
            if now >= self._due(run):
                self.end(run)
        self.serving.tick()
        for deployment in self.serving.routes():
            table = self.serving.route(deployment, "")
            if table is not None:
                rates = {app: self.error_rate(app) for app in table.spec.weights}
                requests = int(self.requests_per_second * elapsed.total_seconds())
                self.serving.send(deployment, requests, error_rate=rates)

    def next_end(self) -> datetime | None:
        """When the next run ends; None while none goes on."""
        return min((self._due(run) for run in self.runs.active()), default=None)

    def _due(self, run: RunSpec) -> datetime:
        began = self._began.setdefault(run.submission_id, self.clock())
        return began + timedelta(seconds=self.seconds(run))

    def end(self, run: RunSpec) -> None:
        """The run has ended well."""
        result: dict[str, Any] = {}
        if run.workload.startswith("framework.workloads.features"):
            asked = MaterializeRequest.model_validate(run.payload)
            published = self._published(asked)
            self.tables.publish(published)
            result = {"uri": published.uri, "version": published.version}
            if asked.online is not None:
                view = ReadView(
                    uri=published.uri,
                    version=published.version,
                    entities=asked.spec["entities"],
                    timestamp=asked.spec.get("timestamp"),
                    available=asked.spec.get("available"),
                    columns=tuple((column["name"], column["dtype"]) for column in asked.spec["columns"]),
                )
                result["online"] = self._brought(asked.view, online_version(view, asked.online))
        elif run.workload.startswith("framework.workloads.online"):
            bring = OnlineRequest.model_validate(run.payload)
            result = self._brought(bring.view, bring.version)
        elif run.workload.startswith("framework.workloads.training"):
            result = self._trained(run.payload)
        self.runs.succeed(run.name, result)

    def _brought(self, view: str, version: OnlineVersion) -> dict[str, Any]:
        """The rows of a view are online, and as they should be; nobody knows how many there are."""
        if not version.same(self.online.describe(view)):
            self.online.write(view, version, ())
        return {"version": version.version, "rows": 0, "checked": 0, "differing": 0, "left": 0, "examples": []}

    def _published(self, asked: MaterializeRequest) -> TableState:
        values, before = self.values(asked), self.tables.describe(asked.table)
        return TableState(
            uri=asked.table,
            version=before.version + 1 if before is not None else 0,
            rows=1000,
            source_digest=asked.source_digest,
            identity=asked.identity,
            commit=asked.commit,
            published=self.clock(),
            build=asked.build,
            digests={column["name"]: short_hash([column["name"], values]) for column in asked.spec["columns"]},
            upstream=asked.upstream,
            files={name: file_list(found, len(found)) for name, found in asked.files.items()},
            committed=asked.committed,
        )

    def _trained(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        folder, metrics, champion = payload["model_folder"], dict(self.metrics(payload)), payload.get("champion")
        views = {name: ReadTable(**view).model_dump(mode="json") for name, view in payload["views"].items()}
        forms = dict(self.forms(payload))
        meanings = {name: {key: view[key] for key in MEANING} for name, view in payload["views"].items()}
        return {
            "artifact": f"{folder}/model",
            "sha256": "0" * 64,
            "format": "lightgbm-text",
            "signature": {"inputs": list(_joined(payload)), "output": {"name": "prediction", "kind": "probability"}},
            "profile": f"{folder}/profile",
            "metrics": metrics,
            "slices": passing_slices(payload),
            "fairness": passing_fairness(payload),
            "robustness": passing_robustness(payload),
            "lineage": {
                "commit": payload["commit"],
                "views": views,
                "meanings": meanings,
                "features": list(payload["spec"]["dataset"].get("features", ())),
                "champion": champion["version"] if champion else None,
                **({"forms": forms} if forms else {}),
            },
            "champion_metrics": metrics if champion else None,
            "trial_rows": 20,
        }
