"""Gathers what came from what: from records, the registry and what git asks for. Reads only, and no running Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from framework.api.errors import ConfigurationError, DamagedError
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewState, Published
from framework.kinds.model_deployment.observed import DeploymentState, ServedVersion
from framework.kinds.training_job.observed import TrainingJobState
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.lineage import Edge, Lineage, Node, Sort, assemble
from framework.ports import CodeRef, ModelVersion, Ports, ReadTable, Record, Recorded, TableState
from framework.rollout.state import CanaryPhase

Part = Node | Edge


def lineage(desired: Mapping[Ref, Desired[Any]], ports: Ports) -> Lineage:
    """Everything that is in service, on its way there, or current for its resource."""
    return _assembled(_Gathering(desired, ports).everything())


def lineage_of(name: str, desired: Mapping[Ref, Desired[Any]], ports: Ports) -> Lineage:
    """What one resource (``Kind/name``) or one model version (``training@version``) came from and went into.

    Raises:
        ConfigurationError: nobody knows it, or the name has another shape.
    """
    gathering = _Gathering(desired, ports)
    training, at, version = name.partition("@")
    wanted: Callable[[Node], bool]
    more: list[Part] = []
    if at:
        model = ports.registry.get(training, version)
        if model is None:
            known = [item.version for item in ports.registry.versions(training)]
            told = f"it has {', '.join(known[:5])}" if known else "it has none"
            raise ConfigurationError(f"the registry has no version {version!r} of {training!r}; {told}")
        ref, more = Ref("TrainingJob", training), [*gathering.model(training, version)]
        wanted = lambda node: node.sort is Sort.MODEL and node.key == name  # noqa: E731
    else:
        try:
            ref = Ref.parse(name)
        except ValueError:
            raise ConfigurationError(f"{name!r} is neither KIND/NAME nor TRAINING@VERSION") from None
        if ref.kind == "TrainingJob":
            more = [part for item in ports.registry.versions(ref.name) for part in gathering.model(*_label(item))]
        wanted = lambda node: node.ref == ref  # noqa: E731
    near = gathering.above({ref, *_refs(more)}) | gathering.below(ref)
    found = _assembled((*gathering.of(near), *more)).around(wanted)
    if not found.nodes and (problem := gathering.unreadable.get(name)) is not None:
        raise ConfigurationError(f"the record of {name} cannot be read: {problem}")
    if not found.nodes:
        raise ConfigurationError(f"nothing came of {name} yet, and nothing is known that it came from")
    return found


def _refs(parts: Iterable[Part]) -> set[Ref]:
    return {part.ref for part in parts if isinstance(part, Node) and part.ref is not None}


def _assembled(parts: Iterable[Part]) -> Lineage:
    gathered = list(parts)
    return assemble(
        (part for part in gathered if isinstance(part, Node)), (part for part in gathered if isinstance(part, Edge))
    )


def _label(model: ModelVersion) -> tuple[str, str]:
    return model.training, model.version


class _Gathering:
    def __init__(self, desired: Mapping[Ref, Desired[Any]], ports: Ports) -> None:
        self._desired, self._ports = desired, ports
        self._commits: dict[str, dict[str, Any]] = {}
        self._models: dict[tuple[str, str], ModelVersion | None] = {}
        self._records: dict[Ref, Record | None] = {}
        self._logs: dict[str, Sequence[TableState]] = {}
        self._told: set[str] = set()
        """Tables of which it was told already what they were made from."""
        self.unreadable: dict[str, str] = {}

    def everything(self) -> Iterator[Part]:
        self._found(self._ports.state.recorded())
        return self.of(self._records)

    def of(self, refs: Iterable[Ref]) -> Iterator[Part]:
        """What the records tell of themselves and of what they came from."""
        for ref in sorted(refs):
            record = self._record(ref)
            if record is not None:
                yield from self._parts(record)

    def above(self, refs: Iterable[Ref]) -> set[Ref]:
        """``refs``, and all that they came from."""
        found: set[Ref] = set()
        pending = set(refs)
        while pending:
            found |= pending
            records = [record for ref in pending if (record := self._record(ref)) is not None]
            pending = {ref for record in records for ref in (*_refs(self._parts(record)), *record.upstream)} - found
        return found

    def below(self, ref: Ref) -> set[Ref]:
        """All that may have come from ``ref``: whatever names what does, and more."""
        found: set[Ref] = set()
        names = {ref.name}
        while names:
            recorded = self._ports.state.naming(names)
            self._found(recorded)
            trained = {Ref("TrainingJob", training) for training, _ in self._ports.registry.naming(names)}
            new = {*(record.ref for record in recorded.readable), *trained} - found
            found |= new
            names = {item.name for item in new}
        return found

    def _found(self, recorded: Recorded) -> None:
        self._records |= {record.ref: record for record in recorded.readable}
        self.unreadable |= {str(ref): problem for ref, problem in recorded.unreadable.items()}

    def _record(self, ref: Ref) -> Record | None:
        if ref not in self._records:
            try:
                self._records[ref] = self._ports.state.load(ref)
            except DamagedError as error:
                self._records[ref], self.unreadable[str(ref)] = None, error.problem
        return self._records[ref]

    def _parts(self, record: Record) -> Iterator[Part]:
        match record.ref.kind:
            case "FeatureView":
                yield from self._view(record)
            case "TrainingJob":
                version = state_of(status_of(record), TrainingJobState).version
                if version is not None:
                    yield from self.model(record.ref.name, version)
            case "ModelDeployment":
                yield from self._deployment(record)
            case "ModelMonitor":
                yield from self._monitor(record)

    def _view(self, record: Record) -> Iterator[Part]:
        published = self._published(record.ref)
        if published is None:
            return
        name, table = record.ref.name, _table_id(record.ref.name, published)
        yield from self._table(name, published)
        for view, read in sorted(published.upstream.items()):
            yield from self._read_table(view, read, table)
        asked = self._desired.get(record.ref)
        if asked is None or asked.identity != published.identity:
            return
        yield from self._code(asked.code, table)
        paths = {key: source.path for key, source in asked.spec.sources.items() if source.path is not None}
        if published.source_digest:
            yield Node(Sort.SOURCES, f"{name}@{published.source_digest}", {"paths": paths}, record.ref)

    def _table(self, name: str, published: Published) -> Iterator[Part]:
        facts = {
            "view": name,
            "build": published.name,
            "identity": published.identity,
            "version": published.version,
            "rows": published.rows,
            "published": published.at.isoformat(),
            "commit": published.commit,
            "uri": published.uri,
        }
        node = _table_id(name, published)
        yield Node(Sort.TABLE, node.removeprefix(f"{Sort.TABLE}:"), facts, Ref("FeatureView", name))
        yield from self._made_from(name, published.commit, published.source_digest, node)

    def _made_from(self, view: str, commit: str, source_digest: str, table: str) -> Iterator[Part]:
        yield from self._commit(commit, table, "at")
        if source_digest:
            ref = Ref("FeatureView", view)
            sources = Node(Sort.SOURCES, f"{view}@{source_digest}", {"digest": source_digest}, ref)
            yield sources
            yield Edge(sources.id, table)

    def model(self, training: str, version: str) -> Iterator[Part]:
        """A model version and what it was trained on, down to the sources as far as they are known."""
        found, ref = self._registered(training, version), Ref("TrainingJob", training)
        if found is None:
            yield Node(Sort.MODEL, f"{training}@{version}", {"registered": False}, ref)
            return
        known = found.lineage
        facts: dict[str, Any] = {
            "deployable": found.deployable,
            "metrics": dict(sorted(found.metrics.items())),
            "sha256": found.sha256,
            "run": known.get("run"),
            "dataset": known.get("dataset"),
            "seed": known.get("seed"),
            "rows": known.get("rows"),
            "created": found.created.isoformat(),
            "commit": found.commit,
            "artifact": found.artifact,
        }
        model = Node(
            Sort.MODEL,
            f"{training}@{version}",
            {key: value for key, value in facts.items() if value not in (None, {})},
            ref,
        )
        yield model
        yield from self._commit(found.commit, model.id, "code and spec at")
        asked = self._desired.get(ref)
        if asked is not None and self._is_asked_for(ref, version, asked.identity):
            yield from self._code(asked.code, model.id)
        for view, read in sorted(found.read.items()):
            yield from self._read_table(view, read, model.id)

    def _is_asked_for(self, ref: Ref, version: str, identity: str) -> bool:
        record = self._record(ref)
        return state_of(status_of(record), TrainingJobState).build_of(identity) == version

    def _registered(self, training: str, version: str) -> ModelVersion | None:
        """Asked for once: a model is told of wherever it serves."""
        if (training, version) not in self._models:
            self._models[training, version] = self._ports.registry.get(training, version)
        return self._models[training, version]

    def _read_table(self, view: str, read: ReadTable, reader: str) -> Iterator[Part]:
        """A table as something read it, and what that version was made from: from its own record where it is the one
        that is published now, else from the table's log as far back as that goes."""
        ref, node = Ref("FeatureView", view), _table_id(view, read)
        yield Edge(node, reader)
        if node in self._told:
            return
        self._told.add(node)
        facts = {"view": view, "build": read.name, "identity": read.identity, "version": read.version, "uri": read.uri}
        yield Node(Sort.TABLE, node.removeprefix(f"{Sort.TABLE}:"), facts, ref)
        published = self._published(ref)
        if published is not None and _table_id(view, published) == node:
            return
        then = next((item for item in self._log(read.uri) if item.version == read.version), None)
        if then is None:
            return
        yield Node(Sort.TABLE, node.removeprefix(f"{Sort.TABLE}:"), {"rows": then.rows, "commit": then.commit}, ref)
        yield from self._made_from(view, then.commit, then.source_digest, node)
        for name, above in sorted(then.upstream.items()):
            yield from self._read_table(name, above, node)

    def _log(self, uri: str) -> Sequence[TableState]:
        if uri not in self._logs:
            self._logs[uri] = self._ports.tables.versions(uri) if uri else ()
        return self._logs[uri]

    def _deployment(self, record: Record) -> Iterator[Part]:
        state, asked = state_of(status_of(record), DeploymentState), self._desired.get(record.ref)
        route = {"route": asked.spec.serving.route} if asked else {}
        share, rollout = 100, state.rollout
        if rollout is not None:
            stepping = rollout.canary.phase is CanaryPhase.STEPPING
            candidate = rollout.canary.weight if stepping and state.stable is not None else 0
            share -= candidate
            facts = {"role": "candidate", "weight": candidate, **route}
            yield from self._app(record.ref, rollout.version, facts)
        if state.stable is not None:
            since = {"since": state.stable_since.isoformat()} if state.stable_since else {}
            yield from self._app(record.ref, state.stable, {"role": "stable", "weight": share, **route, **since})

    def _app(self, ref: Ref, version: ServedVersion, facts: Mapping[str, Any]) -> Iterator[Part]:
        app = Node(Sort.SERVICE, version.app, {"deployment": ref.name, **facts, "commit": version.commit}, ref)
        yield app
        yield Edge(f"{Sort.MODEL}:{version.label}", app.id)
        yield from self.model(version.training, version.version)
        yield from self._commit(version.commit, app.id, "deployed at")
        asked = self._desired.get(ref)
        code = asked.code if asked is not None else None
        if code is not None and version.code is not None and code.digest == version.code.digest:
            yield from self._code(code, app.id)

    def _code(self, code: CodeRef | None, node: str) -> Iterator[Part]:
        """Which files count: known of the code that git asks for now."""
        if code is not None:
            found = Node(Sort.CODE, code.digest, {"folder": code.folder, "files": list(code.files)})
            yield found
            yield Edge(found.id, node)

    def _monitor(self, record: Record) -> Iterator[Part]:
        asked = self._desired.get(record.ref)
        watched = next((ref for ref in record.upstream if ref.kind == "ModelDeployment"), None)
        below = self._record(watched) if watched else None
        stable = state_of(status_of(below), DeploymentState).stable
        facts = {"summary": status_of(record).summary}
        monitor = Node(Sort.MONITOR, record.ref.name, facts, record.ref)
        yield monitor
        if stable is not None:
            yield Edge(f"{Sort.SERVICE}:{stable.app}", monitor.id, "watched by")
            yield Edge(f"{Sort.MODEL}:{stable.label}", monitor.id, "baseline: its training profile")
        if asked is not None:
            yield from self._commit(asked.commit, monitor.id, "at")

    def _commit(self, commit: str, node: str, label: str) -> Iterator[Part]:
        if commit:
            made = Node(Sort.COMMIT, commit, self._about(commit))
            yield made
            yield Edge(made.id, node, label)

    def _about(self, commit: str) -> dict[str, Any]:
        """A commit that is no longer in the repository (a rebased branch) is named all the same."""
        if commit not in self._commits:
            self._commits[commit] = self._asked_about(commit)
        return self._commits[commit]

    def _asked_about(self, commit: str) -> dict[str, Any]:
        try:
            info = self._ports.source.info(commit)
        except ConfigurationError:
            return {}
        return {"subject": info.subject, "author": info.author, "time": info.time.isoformat()}

    def _published(self, ref: Ref) -> Published | None:
        return state_of(status_of(self._record(ref)), FeatureViewState).published


def _table_id(view: str, table: Published | ReadTable) -> str:
    return f"{Sort.TABLE}:{view}@{table.name} v{table.version}"
