"""Short names of what they are made from."""

from __future__ import annotations

import hashlib

LENGTH = 10


def text_hash(text: str | bytes, length: int = LENGTH) -> str:
    """The first hex characters of the SHA-256 of a text."""
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()[:length]
