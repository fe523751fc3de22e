"""What is looked at before a BatchInference is planned: nothing, because this version does not execute it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from controllers.kinds.observer import Observer
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired, Status
from framework.ports import Ports


def observe(ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime) -> Ref:
    return ref


OBSERVER = Observer(observe)
