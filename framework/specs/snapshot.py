"""From the resources of one commit to what is asked for, and the names of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pydantic import BaseModel

from framework.api.meta import Ref
from framework.planning.grammar import fingerprint, graph
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind
from framework.ports import CodeRef, Json, SourceData
from framework.specs.cache import collector
from framework.specs.cache.lazy import LazyDesired
from framework.specs.language.resource import Resource
from framework.specs.rules.validate import upstreams


class Fingerprint(NamedTuple):
    identity: str
    digest: str


_NO_DATA = SourceData()
EarlierPrint = Callable[[Resource, CodeRef | None, Mapping[Ref, str]], Fingerprint | None]
"""Tells the fingerprint of a resource that was made before of the same text, code and upstreams, if there is one."""


def fingerprints(
    resources: Mapping[Ref, Resource],
    code: Mapping[Ref, CodeRef],
    kinds: Mapping[str, Kind],
    known: EarlierPrint | None = None,
) -> dict[Ref, Fingerprint]:
    """Identity and digest of every resource, upstreams first. What is ``known`` need not be made again.

    Raises:
        CycleError: some wait for each other; validation refuses such specs before.
    """
    above = upstreams(resources)
    found: dict[Ref, Fingerprint] = {}
    for ref in graph.topological(above):
        resource, kind = resources[ref], kinds[ref.kind]
        built_of = {upstream: found[upstream].identity for upstream in above[ref] if upstream in found}
        meant = meanings(resource, resources, kinds)
        earlier = known(resource, code.get(ref), built_of) if known and not meant else None
        if earlier is None:
            digests = [code[ref].digest] if ref in code else []
            identity = fingerprint.identity_of(
                resource.texts.rebuilding, digests, built_of, kind.workload_version, meant
            )
            digest = fingerprint.digest_of(ref, resource.metadata, resource.texts.whole, identity)
            earlier = Fingerprint(identity, digest)
        found[ref] = earlier
    return found


def meanings(resource: Resource, resources: Mapping[Ref, Resource], kinds: Mapping[str, Kind]) -> Mapping[str, str]:
    """By path what the words mean that others explain. One that nobody explains is a mistake; validation tells it."""
    found: dict[str, str] = {}
    for borrowed in resource.facts.borrows:
        other = resources.get(borrowed.ref)
        known = kinds[borrowed.ref.kind].meanings(other.spec) if other is not None else {}
        if borrowed.word in known:
            found[borrowed.path] = known[borrowed.word]
    return found


def snapshot_digest(environment: str, spec: BaseModel, prints: Mapping[Ref, Fingerprint]) -> str:
    """10 hex characters over the environment and everything in it."""
    return fingerprint.short_hash(
        {
            "environment": environment,
            "spec": fingerprint.spec_json(spec),
            "resources": {str(ref): found.digest for ref, found in prints.items()},
        }
    )


def desired(
    resources: Mapping[Ref, Resource],
    prints: Mapping[Ref, Fingerprint],
    code: Mapping[Ref, CodeRef],
    kinds: Mapping[str, Kind],
    *,
    commit: str,
    environment: str,
    storage: str,
    root: str,
    connections: Mapping[str, Json],
    data: Mapping[Ref, SourceData],
) -> dict[Ref, Desired[BaseModel]]:
    """What the kinds' plan functions are given, in the order of ``prints``: upstreams first."""
    above = upstreams(resources)
    with collector.paused():
        return {
            ref: LazyDesired.of(
                resources[ref],
                commit=commit,
                identity=found.identity,
                digest=fingerprint.with_data(found.digest, data[ref].digest if ref in data else ""),
                environment=environment,
                storage=storage,
                root=root,
                upstream={one: prints[one].identity for one in above[ref] if one in prints},
                meanings=meanings(resources[ref], resources, kinds),
                code=code.get(ref),
                workload_version=kinds[ref.kind].workload_version,
                connections=connections,
                data=data.get(ref, _NO_DATA),
            )
            for ref, found in prints.items()
        }
