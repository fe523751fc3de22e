"""What of mlopsctl is installed, what is not, and the command that brings the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from framework.api.credentials import credential_in

NAME = "mlopsctl"
WHOLE = "embedded"
"""The extra that holds all of those below that a Ray on this machine needs."""

EXTRAS: Mapping[str, str] = {
    **dict.fromkeys(("deltalake", "numpy", "polars", "pyarrow"), "data"),
    **dict.fromkeys(("fairlearn", "lightgbm", "sklearn", "skops", "xgboost"), "train"),
    **dict.fromkeys(("hyperopt", "optuna", "ray"), "ray"),
    **dict.fromkeys(("onnxscript", "safetensors", "torch"), "torch"),
    **dict.fromkeys(("onnx", "onnxruntime", "onnxmltools", "skl2onnx"), "onnx"),
    "whylogs": "profiling",
    **dict.fromkeys(("alembic", "mlflow"), "mlflow"),
    "psycopg": "postgres",
    "redis": "redis",
    "s3fs": "s3",
    **dict.fromkeys(("adbc_driver_postgresql", "adbc_driver_sqlite"), "sql"),
}
"""The extra that brings a package, by the package's name when it is imported."""
DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "adbc_driver_postgresql": ("adbc-driver-postgresql",),
    "adbc_driver_sqlite": ("adbc-driver-sqlite",),
    "mlflow": ("mlflow-skinny", "mlflow"),
    "sklearn": ("scikit-learn",),
    "xgboost": ("xgboost-cpu", "xgboost"),
}
"""What brings a package, where that goes by another name or by several."""
_BRINGS: Mapping[str, str] = {"torch": "onnx"}
"""The extra that another one holds, by the outer one."""
_OF_WHOLE = frozenset({"data", "train", "ray", "profiling"})


def missing(*extras: str) -> tuple[str, ...]:
    """Packages of ``extras`` (``embedded`` for all that it holds) that cannot be imported here. Imports none."""
    wanted = _OF_WHOLE if WHOLE in extras else frozenset(extras)
    return tuple(package for package, extra in EXTRAS.items() if extra in wanted and not is_there(package))


def advice(packages: Iterable[str]) -> str:
    """``deltalake and ray are not installed: pip install 'mlopsctl[embedded]'``."""
    names = sorted(packages)
    extras = {EXTRAS[name] for name in names}
    extras -= {inner for outer, inner in _BRINGS.items() if outer in extras}
    extra = next(iter(extras)) if len(extras) == 1 else WHOLE if extras <= _OF_WHOLE else ",".join(sorted(extras))
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    source = origin()
    wanted = f"{NAME}[{extra}]{f' @ {source}' if source else ''}"
    return f"{listed} {'is' if len(names) == 1 else 'are'} not installed: pip install '{wanted}'"


def requirement(source: str) -> str:
    """The line of a requirements file for mlopsctl with all that a Ray on this machine needs. ``source`` is a version,
    or an address as pip takes it."""
    return f"{NAME}[{WHOLE}]{' @ ' if '://' in source else '=='}{source}"


def origin() -> str | None:
    """Where pip had this mlopsctl from (PEP 610); None for an index. An address with credentials is not told."""
    from importlib.metadata import PackageNotFoundError, distribution  # takes its time, and is seldom asked

    try:
        found: Any = json.loads(distribution(NAME).read_text("direct_url.json") or "null")
        url, vcs = str(found["url"]), found.get("vcs_info")
    except (PackageNotFoundError, ValueError, TypeError, KeyError):
        return None
    if credential_in(url) is not None:
        return None
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url


def version_of(package: str) -> str | None:
    """The installed version of a package, or of a distribution, by name; None where there is none. Imports nothing of
    it."""
    from importlib.metadata import PackageNotFoundError, version  # takes its time, and is seldom asked

    for distribution in DISTRIBUTIONS.get(package, (package,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def is_there(package: str) -> bool:
    """Whether ``package`` could be imported. Imports nothing."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False
