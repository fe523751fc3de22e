"""What looks like a credential: refused where it stands in a spec, hidden where it turns up in an output all the same.

Nobody can tell every password from every word. What has the form of a credential is found: the user part of an address,
a value whose name says that it is secret, tokens of known services, and addresses that are keys themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

HIDDEN = "***"

_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,40})://([^\s\"'`<>\\]*)")
_BARE_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,40})://(.*)")
"""In a text that is nothing else: what would end it in prose is part of a password there."""
_USERS_NAMED = frozenset(
    {"ssh", "git+ssh", "sftp", "hdfs", "webhdfs", "abfs", "abfss", "adl", "wasb", "wasbs", "smb", "memory", "file"}
)
"""Schemes whose addresses name a user, or a container, before the ``@``; so do those of databases."""
_DATABASES = re.compile(
    r"(postgres|postgresql|mysql|mariadb|mssql|oracle|sqlite|redshift|snowflake|cockroachdb)(\+\w+)?"
)
_PORT = re.compile(r"\d{1,5}([/?#]|$)")
_NAME = r"(?<![\w.-])([A-Za-z][\w.-]{0,60})"
_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s&;,\"'<>)\]}]+")
_LOOSE_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s,{}\[\]#]+")


class _Form(NamedTuple):
    """How a name stands before its value."""

    name: re.Pattern[str]
    value: re.Pattern[str]


_FORMS = (
    _Form(re.compile(rf"{_NAME}(\"?\s?=\s?|[\"']\s?:\s?|\s?:\s?(?=[\"']))"), _VALUE),
    _Form(
        re.compile(r"(?:%3[Bb]|%26|[?&;])([A-Za-z][\w.-]{0,60})(%3[Dd])"), re.compile(r"(?:(?!%3[Bb]|%26)[^\s&;\"'])+")
    ),
)
"""``name=value``, ``name = 'value'``, ``"name": "value"``, ``name: "value"``; and in a parameter of an address."""
_PARAMETER = _FORMS[:1]
_LOOSE = (_Form(re.compile(rf"{_NAME}([\"']?\s*[:=]\s*)"), _LOOSE_VALUE),)
"""As an author of YAML may have written it, quotes left out."""
_SCHEME_OF_HEADER = re.compile(r"\b(Bearer|Basic)(\s+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_LAST_WORDS = frozenset(
    {"password", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "credential", "credentials", "signature",
     "sig", "apikey", "accesskey", "secretkey", "privatekey", "accountkey", "authtoken", "accesstoken", "pgpassword"}
)  # fmt: skip
_KINDS_OF_KEY = frozenset(
    {"api", "access", "account", "private", "secret", "signing", "encryption", "shared", "storage", "service", "auth"}
)
_TOKENS: Mapping[str, re.Pattern[str]] = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    "a GitLab token": re.compile(r"\bgl(pat|dt|rt|ft|ptt|cbt|soat)-[A-Za-z0-9_-]{16,}"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "a Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{30,}"),
    "a Google token": re.compile(r"\bya29\.[0-9A-Za-z_-]{20,}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "a key of a model provider": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "a Stripe key": re.compile(r"\b[rs]k_(live|test)_[A-Za-z0-9]{16,}"),
    "a SendGrid key": re.compile(r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "a package index token": re.compile(r"\b(npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{50,})"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?"),
    "a private key": re.compile(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----([\s\S]*?-----END [A-Z ]{0,30}PRIVATE KEY-----|[\s\S]*)"
    ),
}
_KEYS_THEMSELVES = re.compile(
    r"(hooks\.slack\.com|discord(app)?\.com/api/webhooks|[\w.-]*webhook\.office\.com|[\w.-]*logic\.azure\.com"
    r"|api\.telegram\.org|hooks\.zapier\.com|maker\.ifttt\.com|chat\.googleapis\.com|events\.pagerduty\.com"
    r"|hook\.[\w.]*make\.com|hooks\.[\w-]+\.[a-z]+)(?=[/?])",
    re.IGNORECASE,
)
"""Services whose webhooks are protected by nothing but their address."""
_RANDOM = re.compile(r"(?<![\w%.-])(?=[\w%-]*[a-z])(?=[\w%-]*[A-Z])(?=[\w%-]*\d)[\w%-]{20,}(?![\w%.-])")
_REFERENCE = re.compile(r"\$|\{|<|\*{3}|\.{3}|$")
"""How a value begins that stands for another one."""
_ANY_TOKEN = re.compile("|".join(pattern.pattern for pattern in _TOKENS.values()))
_LONG = re.compile(r"[A-Za-z0-9_.-]{14}")


class _Span(NamedTuple):
    start: int
    end: int
    what: str


def credential_in(value: str) -> str | None:
    """What of a credential stands in a text that somebody wrote into a spec, such as ``a password before the @``; None
    where it holds none. What is named secret counts in addresses alone: in other texts it may be a column."""
    address = "://" in value or value.startswith("//")
    if not address and "-----BEGIN" not in value and (_LONG.search(value) is None or _ANY_TOKEN.search(value) is None):
        return None
    text = unquoted(value.replace('"', "_").replace("'", "_"))
    found = next(_of_tokens(value), None) or next(_of_addresses(text), None)
    if found is None and address:
        parameters = re.sub(r"^.*?[?;#]", "&", text, count=1, flags=re.DOTALL) if re.search(r"[?;#]", text) else ""
        found = next(_of_names(parameters, _PARAMETER), None)
    return found.what if found is not None else None


@lru_cache(maxsize=4096)
def named_secret(name: str) -> bool:
    """Whether what has this name is secret: ``password``, ``secretKey``, ``AWS_SESSION_TOKEN``."""
    parts = [part.casefold() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]
    if not parts:
        return False
    words = [part for part in parts if part != "id"] or parts
    return words[-1] in _LAST_WORDS or (words[-1] in {"key", "keys"} and len(words) > 1 and words[-2] in _KINDS_OF_KEY)


def plain_webhook(url: str) -> bool:
    """Whether an address to post to may be known to everybody: no user, no query, and nothing but plain words."""
    match = re.fullmatch(r"https?://([^\s/?#@]+)((?:/[^\s?#]*)?)", url)
    if match is None or _KEYS_THEMSELVES.match(f"{match[1]}{match[2]}/"):
        return False
    words = [word for word in re.split(r"[/._~-]", match[2]) if word]
    return all(re.fullmatch(r"[a-z]{1,24}|[a-z]{0,3}\d{1,4}", word) for word in words)


@lru_cache(maxsize=4096)
def redacted(text: str) -> str:
    """``text`` with ``***`` for everything in it that looks like a credential. What was redacted stays as it is."""
    if "=" not in text and ":" not in text and "-----BEGIN" not in text and _LONG.search(text) is None:
        return text
    spans = [_Span(*found.span(), "") for found in _ANY_TOKEN.finditer(text)]
    spans += [*_of_addresses(text), *_of_names(text, _FORMS)]
    spans += (_Span(*found.span(3), "") for found in _SCHEME_OF_HEADER.finditer(text))
    return _hidden(text, spans)


def redacted_source(line: str) -> str:
    """The same of a line that an author of YAML wrote: names stand before their values there, without quotes."""
    return redacted(_hidden(line, list(_of_names(line, _LOOSE))))


def redacted_value(value: Any, name: str = "") -> Any:
    """Plain data with every text in it redacted, and every text whose key is named secret hidden."""
    if isinstance(value, str):
        return HIDDEN if value and named_secret(name) else redacted(value)
    if isinstance(value, Mapping):
        hidden = {key: redacted_value(below, str(key)) for key, below in value.items()}
        url = value.get("url")
        if name == "webhook" and isinstance(url, str) and not plain_webhook(url):
            hidden["url"] = re.sub(r"(?<=[^/:])/.*", f"/{HIDDEN}", hidden["url"], count=1, flags=re.DOTALL)
        return hidden
    if isinstance(value, list | tuple):
        return [redacted_value(below, name) for below in value]
    return value


def _hidden(text: str, spans: list[_Span]) -> str:
    parts, seen = [], 0
    for start, end, _ in sorted(spans):
        if end <= seen or text[start:end] == HIDDEN:
            continue
        parts += [text[seen : max(start, seen)], HIDDEN]
        seen = end
    return "".join([*parts, text[seen:]])


def _of_tokens(text: str) -> Iterator[_Span]:
    for what, pattern in _TOKENS.items():
        yield from (_Span(*found.span(), what) for found in pattern.finditer(text))


def _of_addresses(text: str) -> Iterator[_Span]:
    for found in (_ADDRESS if re.search(r"\s", text) else _BARE_ADDRESS).finditer(text):
        scheme, start = found[1].casefold(), found.start(2)
        yield from _of_user(scheme, found[2], start)
        key = _KEYS_THEMSELVES.match(found[2])
        if key is not None:
            yield _Span(start + key.end() + 1, found.end(), "a webhook whose address is its key")
        elif scheme in {"http", "https"}:
            path = re.match(r"[^/]*", found[2])
            assert path is not None
            yield from (
                _Span(start + one.start(), start + one.end(), "what looks like a token in its path")
                for one in _RANDOM.finditer(found[2], path.end())
            )


def _of_user(scheme: str, rest: str, start: int) -> Iterator[_Span]:
    authority = re.match(r"[^/?#]*", rest)
    assert authority is not None
    user, at, _ = authority[0].rpartition("@")
    if not at:
        # A password may hold what ends the name of a host elsewhere.
        longer = re.match(r"([^:/?#@]*):([^@]*)@", rest)
        if longer is None or _PORT.match(longer[2]):
            return
        user = longer[0][:-1]
    name, colon, password = user.partition(":")
    if colon and password and password != HIDDEN:
        yield _Span(start + len(name) + 1, start + len(user), "a password before the @")
    elif not colon and name and name != HIDDEN and scheme not in _USERS_NAMED and not _DATABASES.fullmatch(scheme):
        yield _Span(start, start + len(name), "credentials before the @")


def _of_names(text: str, forms: tuple[_Form, ...]) -> Iterator[_Span]:
    for form in forms:
        end = 0
        for found in form.name.finditer(text):
            if found.start() < end:
                continue
            start = found.end() + (text[found.end() : found.end() + 1] in {'"', "'"})
            if not named_secret(found[1]) or _REFERENCE.match(text, start):
                continue
            value = form.value.match(text, found.end())
            if value is not None and value.end() > start:
                end = value.end()
                yield _Span(start, end - (start - found.end()), f"a secret ({found[1]}=…)")


def unquoted(text: str) -> str:
    """With ``%40`` and the like as the characters that they stand for in addresses."""
    return re.sub(
        r"(%[0-9A-Fa-f]{2})+", lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace"), text
    )
