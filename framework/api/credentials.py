"""What looks like a credential: refused where it stands in a spec, hidden where it turns up in an output all the same.

Nobody can tell every password from every word. What has the form of a credential is found: the user part of an address,
a value whose name says that it is secret, tokens of known services, and addresses that are keys themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from framework.api.secret_names import MARKS, named_secret, secret_parameter, surely_secret

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
_BEGUN = re.compile(r"[^:/?#@\[]*:(?!\d{1,5}([/?#,.;)]|$))[^,.;)]")
_ON_THIS_LINE = re.compile(r"[^\n\"'`<>@]{1,80}@(?=[\w\[])(?:\S*@)?")
"""The rest of a password with a space in it."""
_USER_WITHIN = re.compile(
    r"(?:://|%3A%2F%2F)(?:(?!%3A|%40|%2F)[^/?#&\s@:])*(?::|%3A)((?:(?!%40|%2F)[^/?#&\s@])+)(?=@|%40)", re.I
)
"""The password of an address that is a parameter of another one."""
_PARAMETER = re.compile(
    r"(?:[?&;#]|%3B|%26|%3F|%23)((?:[\w.\[\]-]|%(?!3D|3B|26)[0-9A-F]{2})++)(?:(=)|%3D)", re.IGNORECASE
)
_OF_PARAMETER = re.compile(r"[^&;\s]+")
_OF_PARAMETER_WITHIN = re.compile(r"(?:(?!%3B|%26)[^&;\s\"'])+", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w.-])([\w.-]++)(\\{0,15}[\"'`]?(?:\](?=\s{0,20}=))?\s{0,20}(?:=>|:=|={1,2}|:)\s{0,20})")
_OPTION = re.compile(
    r"(?<![\w.-])(--?[A-Za-z][\w.-]*+)(\\{0,15}[\"']\s{0,3},\s{0,20}(?=\\{0,15}[\"'])|[ \t]{1,20}(?!-))"
)
"""``--password hunter2``, and the same as a list of words."""
_VALUE = re.compile(r"(?!`)(?:[^\s&;,\"'<>)\]}\\]|\\(?!\\{0,15}[\"'`]))+")
_LOOSE_VALUE = re.compile(r"[^\s,{}\[\]#]+(?:[ \t]+[^\s,{}\[\]#]+)*")
_LINE_OF_YAML = re.compile(r"\S(?:(?!\s{1,8}#).)*")
_START_OF_LINE = re.compile(r"[ \t+\-\"']*")
_OPENING = re.compile(r"(?:[bBfFrRuU]{1,2}|\w{1,40}\()?(\\{0,15})([\"']|(?<=\s)`)")
_INSIDE = {mark: re.compile(rf"(?:[^{mark}\\]|\\++[\s\S]|{mark}{mark})*+") for mark in "\"'`"}
"""A backslash takes what follows it along, however often it was escaped itself, and so does a mark that is doubled."""
_QUOTED = re.compile(r"(?:[bBfFrRuU]{1,2}|\w{1,40}\()?\\{0,15}(?:[\"']|(?<=\s)`)|\[|\(\s{0,3}[\"'`]")
_LIST = re.compile(r"[\[(]\s*((?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|[^\[\](){}\"'])*+)")
_PLAIN = re.compile(r"(?:true|false|yes|no|none|null|on|off|[-+]?\d+(?:[./]\d+)*%?)(?![\w.-])", re.IGNORECASE)
_SHORT = re.compile(r"(?:true|false|yes|no|none|null|on|off|\d{1,4})(?!\w)", re.IGNORECASE)
"""Values that a ``pass``, and a ``code``, may have that is nobody's."""
_PROSE = re.compile(
    r"\(?(?:a|after|all|an|and|any|anything|are|as|at|be|before|but|by|bytes|callable|can|cannot|could|dict|did|do"
    r"|does|each|either|empty|every|expected|extra|false|field|for|from|give|given|goes|had|has|have|holds|how"
    r"|if|in|input|int|invalid|is|it|its|list|may|missing|must|never|no|none|not|nothing|null|of|on|once|only"
    r"|optional|or|read|required|requires|see|set|should|something|str|string|that|the|there|this|to|true|try"
    r"|tuple|unexpected|unknown|until|use|value|was|were|what|when|where|which|who|whoever|whose|will|with"
    r"|without|would|write|wrong)(?=[,.;:)\]}]?(?:\s|$)|\[)",
    re.IGNORECASE,
)
"""How a sentence goes on after ``password:``, or after an option that it is about; seldom is it a password."""
_PATH = re.compile(r"(spec|metadata)\.")
_HEADER = re.compile(
    r"\bauthorization\\{0,15}[\"']?\s?[:=]\s?\\{0,15}[\"']?(?:[A-Za-z-]{2,19}[ \t]{1,20})?"
    r"((?=[^\s\"',;\\]{0,200}\d)[^\s\"',;\\]{6,}|[^\s\"',;\\]{20,})",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"\bcookie\\{0,15}[\"']?:\s?\\{0,15}[\"']?(\w[\w.-]{0,80}=(?!\*{3})[^\n\"'\\]+)", re.IGNORECASE)
_SCHEME_OF_HEADER = re.compile(r"\b(Bearer|Basic)(\s+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
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
    r"(((canary|ptb)\.)?discord(app)?\.com\.?(:\d{1,5})?/api/(v\d{1,2}/)?webhooks"
    r"|(hooks\.slack\.com|[\w.-]*webhook\.office\.com|[\w.-]*logic\.azure\.com|api\.telegram\.org|hooks\.zapier\.com"
    r"|maker\.ifttt\.com|chat\.googleapis\.com|events\.pagerduty\.com|hook\.[\w.]*make\.com|hooks\.[\w-]+\.[a-z]+)"
    r"\.?(:\d{1,5})?)(?=[/?])",
    re.IGNORECASE,
)
"""Services whose webhooks are protected by nothing but their address."""
_RANDOM = re.compile(r"(?<![\w%.-])(?=[\w%-]*[a-z])(?=[\w%-]*[A-Z])(?=[\w%-]*\d)[\w%-]{20,}(?![\w%.-])")
_REFERENCE = re.compile(r"\$|\{|<|\*{3}|\.{3}|…|$")
"""How a value begins that stands for another one."""
_ANY_TOKEN = re.compile("|".join(pattern.pattern for pattern in _TOKENS.values()))
_SIGNS = frozenset("=:-%")
"""Without any of them, a name has no value."""
_LONG = re.compile(r"[A-Za-z0-9_.-]{14}")


_HEADERS = {"authorization": _HEADER, "cookie": _COOKIE}


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
        begin = re.search(r"[?;#]", text)
        parameters = "&" + text[begin.end() :] if begin is not None else ""
        found = next(_of_parameters(parameters), None) or next(_of_names(parameters, alone="="), None)
    return found.what if found is not None else None


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
    if _SIGNS.isdisjoint(text) and _LONG.search(text) is None:
        return text
    spans = [_Span(*found.span(), "") for found in _ANY_TOKEN.finditer(text)]
    if "://" in text:
        spans += _of_addresses(text)
    spans += _of_parameters(text, begins="?&%")
    lower = text.casefold()
    if any(mark in lower for mark in MARKS):
        spans += [*_of_names(text), *_of_options(text)]
    spans += (_Span(*found.span(3), "") for found in _SCHEME_OF_HEADER.finditer(text))
    for word, header in _HEADERS.items():
        if word in lower:
            spans += (_Span(*found.span(1), "") for found in header.finditer(text))
    return _hidden(text, spans)


def redacted_source(line: str) -> str:
    """The same of a line that an author of YAML wrote: names stand before their values there, without quotes."""
    return redacted(_hidden(line, list(_of_names(line, loose=True))))


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
        if start >= seen:
            parts += [text[seen:start], HIDDEN]
        seen = end
    return "".join([*parts, text[seen:]])


def _of_tokens(text: str) -> Iterator[_Span]:
    for what, pattern in _TOKENS.items():
        yield from (_Span(*found.span(), what) for found in pattern.finditer(text))


def _of_addresses(text: str) -> Iterator[_Span]:
    for found in (_ADDRESS if re.search(r"\s", text) else _BARE_ADDRESS).finditer(text):
        scheme, start, rest = found[1].casefold(), found.start(2), found[2]
        if "@" not in rest and _BEGUN.match(rest):
            rest += _rest_of_password(text, found.end())
        yield from _of_user(scheme, rest, start)
        yield from _of_parameters(found[2], start)
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


def _rest_of_password(text: str, end: int) -> str:
    """What follows an address without a user, as far as it may be the rest of a password with a space in it."""
    found = _ON_THIS_LINE.match(text, end)
    return "" if found is None or "://" in found[0] else found[0]


def _of_parameters(text: str, offset: int = 0, begins: str = "?&;#%") -> Iterator[_Span]:
    for found in _USER_WITHIN.finditer(text):
        if not _REFERENCE.match(found[1]) and ("@" in text[found.end() : found.end() + 1] or found[0][0] == "%"):
            yield _Span(offset + found.start(1), offset + found.end(1), "a password before the @")
    end = 0
    for found in _PARAMETER.finditer(text):
        name = unquoted(unquoted(found[1]))
        if found.start() < end or found[0][0] not in begins or not secret_parameter(name):
            continue
        if _REFERENCE.match(text, found.end()) or (not named_secret(name) and _SHORT.match(text, found.end())):
            continue
        value = (_OF_PARAMETER if found[2] else _OF_PARAMETER_WITHIN).match(text, found.end())
        if value is None:
            continue
        end = value.end()
        length = len(value[0].rstrip("\"'`<>,.)]}"))
        if length:
            yield _Span(offset + found.end(), offset + found.end() + length, f"a secret ({name}=…)")


def _of_names(text: str, *, loose: bool = False, alone: str = "") -> Iterator[_Span]:
    """Values after their names.

    loose: of a line of YAML, where values have no quotes.
    alone: the only sign that may stand between the two.
    """
    end = 0
    for found in _NAME.finditer(text):
        name, sign = found[1], found[2].strip()
        if found.start() < end or (alone and sign != alone):
            continue
        meant = named_secret(name) if loose else _meant(text, found)
        value = _value(text, found, loose=loose) if meant else None
        if value is None:
            continue
        end = value.end
        yield value._replace(what=f"a secret ({name}=…)")


def _says(name: str, sign: str) -> bool:
    return named_secret(name) or (sign != ":" and name.strip("-").casefold() == "pass")


def _meant(text: str, found: re.Match[str]) -> bool:
    """Whether what stands there is the value of something, and not how a sentence goes on."""
    name, sign, at = found[1], found[2].strip(), found.end()
    quoted = _QUOTED.match(text, at)
    if not _says(name, sign) or ("\n" in found[2] and not quoted):
        return False
    if not named_secret(name):  # a pass, which may be a count
        return (quoted is not None or ":" not in sign) and not _PLAIN.match(text, at)
    if sign != ":" or quoted:
        return True
    before = text[found.start() - 1 : found.start()]
    path = _PATH.match(name) or (before == "/" and found[2] == ":") or text.startswith("//", at)
    return surely_secret(name) and not path and not _PROSE.match(text, at)


def _of_options(text: str) -> Iterator[_Span]:
    end = 0
    for found in _OPTION.finditer(text):
        name = found[1].lstrip("-")
        if found.start() < end:
            continue
        if not named_secret(name) and name.casefold() != "pass":
            continue
        value = _value(text, found, loose=False)
        if value is None or (value.start == found.end() and _PROSE.match(text, value.start)):
            continue
        end = value.end
        if surely_secret(name) or not _PLAIN.match(text, value.start):
            yield value._replace(what=f"a secret ({found[1]} …)")


def _value(text: str, found: re.Match[str], *, loose: bool) -> _Span | None:
    """What stands after a name, without its quotes; None where it is nothing, or refers to something else."""
    at = found.end()
    opening, several = _OPENING.match(text, at), _LIST.match(text, at)
    if opening is not None:
        start, end = opening.end(), _closing(text, opening.end(), opening[1], opening[2])
    elif several is not None:
        start, end = several.start(1), several.start(1) + len(several[1].rstrip())
        if start < end and text[several.end() : several.end() + 1] not in {"]", ")"}:
            end = _end_of_line(text, start)
    else:
        start, end = at, _end_of_word(text, found, loose=loose)
    return None if end <= start or _REFERENCE.match(text, start) else _Span(start, end, "")


def _closing(text: str, start: int, slashes: str, mark: str) -> int:
    """Where a text in quotes ends; where nothing closes it, at the end of its line."""
    if not slashes:
        inside = _INSIDE[mark].match(text, start)
        assert inside is not None
        return inside.end() if text[inside.end() : inside.end() + 1] == mark else _end_of_line(text, start)
    end = text.find(slashes + mark, start)
    while end > start and text[end - 1] == "\\":
        end = text.find(slashes + mark, end + 1)
    return end if end >= 0 else _end_of_line(text, start)


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return end if end >= 0 else len(text)


def _end_of_word(text: str, found: re.Match[str], *, loose: bool) -> int:
    at, before = found.end(), found.start() - 1
    pattern = _VALUE
    if loose:
        pattern = _LINE_OF_YAML if _START_OF_LINE.fullmatch(text, 0, found.start()) else _LOOSE_VALUE
    elif found[1].startswith("-") and "=" in found[2] and before >= 0 and text[before] in _INSIDE:
        # The option and its value are one word of a list.
        slashes = re.search(r"\\*$", text[max(0, before - 15) : before])
        end = _closing(text, at, slashes[0] if slashes is not None else "", text[before])
        if end < len(text) and "\n" not in text[at : end + 1]:
            return end
    value = pattern.match(text, at)
    return value.end() if value is not None else at


def unquoted(text: str) -> str:
    """With ``%40`` and the like as the characters that they stand for in addresses."""
    return re.sub(
        r"(%[0-9A-Fa-f]{2})+", lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace"), text
    )
