"""Promoting what serves in one environment to another: a pin in the target's file, for people to merge.

The other environment is only read: its state, its registry. The target's registry takes over the record of a version
that it lacks, because nothing could serve it otherwise; what runs changes by the commit alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from controllers.commands import proposals
from controllers.revision.snapshot import Snapshot
from framework import storage
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.admission.promotion import Item, Promotion, PromotionCourse
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.kind import ModelName, Serves
from framework.planning.grammar.remembered import status_of
from framework.ports import ModelVersion, Ports, Proposal, Proposed, SpecWriter
from framework.specs.pins import Edited, pin
from framework.specs.read import read_snapshot

SERVING: Mapping[str, Serves] = {name: kind.serving for name, kind in KINDS.items() if kind.serving is not None}
"""The kinds that can be promoted."""


def readable(uri: str) -> bool:
    """Whether there is a file that we can get at; nothing of it is read."""
    try:
        return bool(storage.match_files(uri))
    except (OSError, ValueError, ImportError):  # no credentials, no such protocol, no driver for it
        return False


@dataclass(frozen=True)
class PromotionSide:
    """One environment of the promotion. ``loaded`` is its newest commit, or that of the branch that is added to."""

    environment: str
    ports: Ports
    loaded: Snapshot
    specs: str = "mlops_specs"
    readable: Callable[[str], bool] = readable

    def reads(self, model: ModelVersion) -> bool:
        """Whether what serves here gets at the files of a version that another environment trained: by URL, or because
        everything is on this machine."""
        remote = "://" in model.artifact and not model.artifact.startswith("file://")
        here = self.loaded.environment.ray.address == "embedded"
        return (remote or here) and self.readable(model.artifact)


def promotion(source: PromotionSide, target: PromotionSide, named: Collection[Ref]) -> Promotion:
    """What ``target`` would take over from ``source``: of the resources that are named, or of all that serve a model.

    Raises:
        ConfigurationError: no such resource, or the target has no file to pin in.
        SpecError: the target would be wrong with the pins, e.g. against its policies.
    """
    found = _live(source)
    unknown = [ref for ref in named if ref not in found]
    if unknown:
        known = ", ".join(map(str, found)) or "none"
        raise ConfigurationError(f"{source.environment} has no {unknown[0]}; it has {known}")
    items = tuple(
        _item(ref, live, source, target, ref in named) for ref, live in found.items() if not named or ref in named
    )
    plain = Promotion(source.environment, target.environment, target.loaded.commit, items)
    return _edited(plain, target) if plain.pins and not plain.refused else plain


def propose(promotion: Promotion, writer: SpecWriter, branch: str | None, actor: str, ports: Ports) -> Proposed:
    """Let the target, whose ``ports`` these are, know the versions, and make the commit. The same promotion again finds
    the commit that it made.

    Raises:
        ConflictError: the branch says something else, or is checked out.
    """
    for item in promotion.pins:
        if item.adopt is not None:
            ports.registry.adopt(item.adopt)
    name = branch or default_branch(promotion)
    files = {promotion.file: promotion.text.encode()}
    proposal = Proposal(promotion.base, name, _message(promotion, actor), files=files)
    return proposals.propose(proposal, writer, ports.source)


def default_branch(promotion: Promotion) -> str:
    """Named by what it pins, so that the same promotion finds its branch again."""
    pins = short_hash([promotion.base, *([str(item.ref), item.version] for item in promotion.pins)])
    return f"mlopsctl/promote-{promotion.target}-{pins}"


def _live(side: PromotionSide) -> dict[Ref, ModelName | str]:
    """By resource what serves there and nothing speaks against, or why nothing can be promoted now."""
    return {
        record.ref: SERVING[record.ref.kind].live(status_of(record))
        for record in side.ports.state.records()
        if record.ref.kind in SERVING
    }


def _item(ref: Ref, live: ModelName | str, source: PromotionSide, target: PromotionSide, named: bool) -> Item:
    held = PromotionCourse.REFUSED if named else PromotionCourse.SKIPPED
    if isinstance(live, str):
        return Item(ref, held, f"in {source.environment}: {live}")
    asked = target.loaded.desired.get(ref)
    if asked is None:
        return Item(ref, held, f"{target.environment} has no {ref}", live.version)
    model = SERVING[ref.kind].asked(asked.spec)
    if model.training != live.training:
        message = f"{target.environment} serves models of {model.training!r}, {source.environment} of {live.training!r}"
        return Item(ref, held, message, live.version, model.version)
    if model.version == live.version:
        return Item(
            ref, PromotionCourse.SAME, f"{target.environment} is pinned to {live} already", live.version, live.version
        )
    return replace(_available(ref, live, source, target, asked), version=live.version, before=model.version)


def _available(ref: Ref, live: ModelName, source: PromotionSide, target: PromotionSide, asked: Any) -> Item:
    """Whether the target can serve the version, and where it gets it from."""
    there = target.ports.registry.get(*live)
    if there is not None:
        if not there.deployable:
            return Item(ref, PromotionCourse.REFUSED, f"{live} failed its gates in {target.environment}")
        return Item(ref, PromotionCourse.PINS, f"{live}, which {target.environment} has")
    model = source.ports.registry.get(*live)
    if model is not None and target.reads(model):
        return Item(ref, PromotionCourse.PINS, f"{live}, whose files {target.environment} can read", adopt=model)
    asked_for = model.asked_for if model is not None else live.version
    if (live.training, asked_for) in {(above.name, identity) for above, identity in asked.upstream.items()}:
        message = f"{live}, which {target.environment} trains itself from the same spec, if its data is the same"
        return Item(ref, PromotionCourse.PINS, message)
    where = model.artifact.rpartition("/")[0] if model else "the files of the model"
    return Item(
        ref,
        PromotionCourse.REFUSED,
        f"{target.environment} has no {live} and cannot read it: let both environments store at a URL that both "
        f"can read, copy {where} there, or give both the same TrainingJob, so that {target.environment} trains it",
    )


def _edited(promotion: Promotion, target: PromotionSide) -> Promotion:
    """The Environment's file with the pins, once it is known that they come to what was meant and to nothing else."""
    before, file = target.loaded, target.loaded.file
    if not file:
        raise ConfigurationError(
            f"Environment/{target.environment} is not declared, so there is no file to pin in; declare it first"
        )
    old = text = _text(target, file)
    for item in promotion.pins:
        text = pin(text, target.environment, item.ref, SERVING[item.ref.kind].path, item.version)
    edited = Edited(target.ports.source, before.commit, file, text.encode())
    after = read_snapshot(edited, before.commit, target.specs, target.environment, KINDS)
    wanted = {item.ref: item.version for item in promotion.pins}
    for ref, version in wanted.items():
        found = SERVING[ref.kind].asked(after.desired[ref].spec).version
        if found != version:
            path = SERVING[ref.kind].path
            raise ConfigurationError(f"a patch for {ref} keeps spec.{path} at {found}; edit it by hand")
    others = [ref for ref, one in after.desired.items() if ref not in wanted and one.spec != before.desired[ref].spec]
    if others:
        raise ConfigurationError(f"the pin would change {others[0]}, too; edit {file} by hand")
    return replace(promotion, file=file, old=old, text=text)


def _text(side: PromotionSide, path: str) -> str:
    blobs = [blob for blob in side.ports.source.blobs(side.loaded.commit, side.specs) if blob.path == path]
    return side.ports.source.read(blobs)[blobs[0].sha].decode()


def _message(promotion: Promotion, actor: str) -> str:
    names = ", ".join(item.ref.name for item in promotion.pins)
    pins = "\n".join(f"{item.ref}: {item.before} -> {item.version}" for item in promotion.pins)
    return f"Promote {names} from {promotion.source} to {promotion.target}\n\n{pins}\n\nBy: {actor}\n"
