"""The id that tells one environment from another of the same name, wherever both can be met."""

from __future__ import annotations

import re
import secrets

from framework.api.errors import ConfigurationError

_ID = re.compile(r"[0-9a-f]{10}")


def fresh() -> str:
    return secrets.token_hex(5)


def is_owner(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def checked(kept: str, environment: str) -> str:
    """What was kept as the owner of ``environment``.

    Raises:
        ConfigurationError: it was never written so.
    """
    if not isinstance(kept, str) or not is_owner(kept):
        raise ConfigurationError(
            f"the state store does not hold the owner of the environment {environment} but {str(kept)[:40]!r}: start "
            "once with MLOPS_RAY_OWNER and the owner that its applications on Ray name, or with ten hexadecimal digits"
        )
    return kept
