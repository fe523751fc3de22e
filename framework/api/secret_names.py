"""Names that say of a value that it is secret.

How much a name says depends on where it stands. ``token`` before a ``=`` is one that lets somebody in, and in
``token: 7`` it may be a number that counts leases; ``key`` is a column, but not among the parameters of an address.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SURE = frozenset(
    {"password", "passwd", "passphrase", "passcode", "secret", "apikey", "accesskey", "secretkey", "privatekey",
     "accountkey", "authtoken", "accesstoken"}
)  # fmt: skip
_LAST_WORDS = _SURE | {
    "passwords", "passphrases", "secrets", "apikeys", "pwd", "token", "credential", "credentials", "signature", "sig",
}  # fmt: skip
_SURE_ENDS = ("password", "passwords", "passwd", "passphrase", "clientsecret")
_SURE_KINDS_OF_KEY = frozenset({"api", "access", "private", "secret", "signing", "encryption", "auth"})
_KINDS_OF_KEY = _SURE_KINDS_OF_KEY | {"account", "shared", "storage", "service"}
_SURE_KINDS_OF_TOKEN = frozenset(
    {"auth", "access", "refresh", "bearer", "session", "security", "private", "vault", "api", "csrf", "xsrf", "github",
     "gitlab", "bot", "id"}
)  # fmt: skip
_LETS_IN = frozenset(
    {"db", "database", "sql", "mysql", "postgres", "pg", "mongo", "redis", "amqp", "rabbitmq", "smtp", "mail", "email",
     "imap", "ftp", "sftp", "ssh", "http", "https", "proxy", "ldap", "user", "admin", "root", "auth", "login", "key",
     "keystore", "truststore", "store", "registry", "service", "api"}
)  # fmt: skip
"""What a ``pass`` is one of: of other things it may be the first of two."""
_IN_ADDRESSES = frozenset(
    {"auth", "authorization", "bearer", "code", "hmac", "jwt", "key", "otp", "pass", "pat", "pw", "sas"}
)
_CODES = frozenset({"auth", "authorization", "access", "device", "function", "login"})
_OTHER_KEYS = frozenset(
    {"partition", "primary", "foreign", "sort", "order", "group", "join", "shard", "routing", "row", "column", "index",
     "unique", "natural", "surrogate", "composite", "cluster", "clustering", "distribution", "hash", "range", "cache",
     "object", "idempotency", "public", "host", "ssl", "tls"}
)  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_LONGEST = 100
MARKS = ("pass", "pwd", "secret", "token", "credential", "sig", "key")
"""A text without any of these holds no name that says something, outside of the parameters of addresses."""


@lru_cache(maxsize=4096)
def named_secret(name: str) -> bool:
    """Whether what has this name is secret: ``password``, ``secretKey``, ``AWS_SESSION_TOKEN``, ``DB_PASS``."""
    words = _words(name)
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    return (
        last in _LAST_WORDS
        or last.endswith(_SURE_ENDS)
        or (last in {"key", "keys"} and before in _KINDS_OF_KEY)
        or (last == "pass" and bool(before) and (before in _LETS_IN or name.isupper()))
    )


@lru_cache(maxsize=4096)
def surely_secret(name: str) -> bool:
    """Whether it is so beyond doubt, where a name stands in prose: ``token: 7`` and ``signature: int`` are not."""
    words = _words(name)
    last, before = words[-1] if words else "", words[-2] if len(words) > 1 else ""
    return (
        last in _SURE
        or last.endswith(_SURE_ENDS)
        or (last == "key" and before in _SURE_KINDS_OF_KEY)
        or (last == "token" and before in _SURE_KINDS_OF_TOKEN)
        or (last == "pass" and named_secret(name))
    )


@lru_cache(maxsize=4096)
def secret_parameter(name: str) -> bool:
    """Whether the parameter of an address that has this name is secret.

    More names count than elsewhere, since nothing in an address is prose: ``auth``, ``code``, ``pass``, and whatever
    ends in ``password``, ``secret``, ``token`` or ``key``. A key that columns, rows and caches have is none
    (``partition_key``): readers of tables take its name as an option, and it opens nothing. Neither is ``sslkey``, the
    path of a file: what is secret stands in that file.
    """
    if named_secret(name):
        return True
    words = _words(name)
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if len(words) == 1 and last in _IN_ADDRESSES:
        return True
    if last.endswith("key"):
        return (last.removesuffix("key") or before) not in _OTHER_KEYS
    return (
        last.endswith(("password", "passwd", "secret", "token"))
        or last in {"pass", "auth", "sas", "jwt"}
        or (last == "code" and before in _CODES)
    )


def _words(name: str) -> list[str]:
    """``AWS_SECRET_ACCESS_KEY_2`` as aws, secret, access, key: which one of several it is says nothing."""
    parts = [part.casefold() for part in _WORD.findall(name[-_LONGEST:])]
    words = [part for part in parts if part != "id"] or parts
    while words and words[-1].isdigit():
        words.pop()
    return words
