"""Environment: where the same specs run. Read at start; nothing is created for it."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from framework.api.meta import Ref, Stored
from framework.kinds.environment import policies, quotas, windows
from framework.kinds.environment.spec import CATEGORIES, EnvironmentSpec, Quotas
from framework.planning.changes import Change, Desired, Status
from framework.planning.kind import CrossProblem, Kind, Reference
from framework.planning.outcomes import Outcome, removed


def _plan(desired: Desired[EnvironmentSpec] | None, observed: Ref, status: Status | None, now: datetime) -> Change:
    if desired is None:
        return removed(observed)
    return Outcome(desired, status, CATEGORIES, now).settled(Stored(), desired.spec.ray.address, "Read")


def _references(spec: EnvironmentSpec) -> tuple[Reference, ...]:
    return ()


def _entrypoints(spec: EnvironmentSpec) -> Mapping[str, str]:
    return {}


def _unsupported(spec: EnvironmentSpec) -> tuple[str, ...]:
    fields = {
        "spec.ray.kuberay": spec.ray.address == "kuberay" or spec.ray.kuberay is not None,
        "spec.tracking": spec.tracking is not None,
        "spec.onlineStore": spec.onlineStore is not None,
    }
    return tuple(path for path, used in fields.items() if used)


def _check(spec: EnvironmentSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    if not spec.policies and spec.quotas == Quotas():
        return ()  # and nothing has to be looked at for it
    name = next((ref.name for ref in specs if ref.kind == "Environment" and specs[ref] is spec), "")
    return (*policies.problems(name, spec, specs), *quotas.problems(name, spec, specs))


def _remarks(spec: EnvironmentSpec) -> tuple[CrossProblem, ...]:
    return tuple(windows.remarks(spec))


KIND = Kind(
    name="Environment",
    spec=EnvironmentSpec,
    categories=CATEGORIES,
    plan=_plan,
    references=_references,
    entrypoints=_entrypoints,
    unsupported=_unsupported,
    check=_check,
    remarks=_remarks,
    workload_version="1",
)
