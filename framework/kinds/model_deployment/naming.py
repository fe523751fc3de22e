"""How a version is called beside another one. Pure."""

from __future__ import annotations

from framework.kinds.model_deployment.observed import ServedVersion


def named(version: ServedVersion, beside: ServedVersion | None) -> str:
    """``delay@3f2a91c04d``; where ``beside`` serves the same model, with what tells the two apart."""
    if beside is None or beside.label != version.label or beside.identity == version.identity:
        return version.label
    return f"{version.label} ({_difference(version, beside) or f'app {version.identity}'})"


def _difference(version: ServedVersion, beside: ServedVersion) -> str:
    """What about ``version`` is not so about ``beside``."""
    ours, theirs = version.arguments, beside.arguments
    found = []
    if ours.transformer != theirs.transformer:
        found.append(f"transformer {ours.transformer}" if ours.transformer else "no transformer")
    elif version.code != beside.code and version.code is not None:
        found.append(f"code {version.code.digest[:7]}")
    if (version.batch_size, version.batch_wait_seconds) != (beside.batch_size, beside.batch_wait_seconds):
        found.append(f"batches of {version.batch_size}")
    if (version.cpus, version.gpus) != (beside.cpus, beside.gpus):
        found.append(f"{version.cpus:g} CPUs" + (f", {version.gpus:g} GPUs" if version.gpus else ""))
    if ours.predictionKey != theirs.predictionKey:
        found.append(f"key {ours.predictionKey or 'none'}")
    if ours.flushSeconds != theirs.flushSeconds:
        found.append(f"flush every {ours.flushSeconds:g} s")
    return ", ".join(found)
