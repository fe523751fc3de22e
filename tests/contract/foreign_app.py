"""An application that somebody else put on the same Serve."""

from __future__ import annotations

from typing import Any

from ray import serve


@serve.deployment
class Foreign:
    def __init__(self, answer: str) -> None:
        self._answer = answer

    async def __call__(self, request: Any) -> str:
        return self._answer


def build(args: dict[str, Any]) -> serve.Application:
    return Foreign.bind(args["answer"])
