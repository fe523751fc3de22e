"""What counts as a credential, in specs and in outputs, and what is left alone though it looks a little like one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.credentials import (
    HIDDEN,
    credential_in,
    named_secret,
    plain_webhook,
    redacted,
    redacted_source,
    redacted_value,
)

SECRET = "hunter2SECRETxyz"
HELD = {
    f"postgresql://mlops:{SECRET}@db.example/mlops": "postgresql://mlops:***@db.example/mlops",
    f"postgresql+psycopg://u:{SECRET}/x@h:5432/db": "postgresql+psycopg://u:***@h:5432/db",
    f"postgresql://u:%40{SECRET}@h/db": "postgresql://u:***@h/db",
    f'postgresql://u:"{SECRET}@h/db': "postgresql://u:***@h/db",
    f"postgresql:///db?host=h&password={SECRET}": "postgresql:///db?host=h&password=***",
    f"mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3D{SECRET}": "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3D***",
    f"redis://:{SECRET}@h:6379/0": "redis://:***@h:6379/0",
    f"s3://AKIA:{SECRET}@bucket/x": "s3://AKIA:***@bucket/x",
    f"simplecache::s3://k:{SECRET}@b/x": "simplecache::s3://k:***@b/x",
    f"sftp://u:{SECRET}@h/x": "sftp://u:***@h/x",
    f"https://{SECRET}@github.com/x": "https://***@github.com/x",
    f"http://u:{SECRET}@head:8265": "http://u:***@head:8265",
    f"https://h/x?token={SECRET}&a=b": "https://h/x?token=***&a=b",
    f"https://h/x?X-Amz-Signature={SECRET}": "https://h/x?X-Amz-Signature=***",
    f"https://a.blob.core.windows.net/c?sv=1&sig={SECRET}": "https://a.blob.core.windows.net/c?sv=1&sig=***",
    f"https://hooks.slack.com/services/T0/B0/{SECRET}": "https://hooks.slack.com/***",
    f"https://discord.com/api/webhooks/123/{SECRET}": "https://discord.com/api/webhooks/***",
    f"https://h/hook/{SECRET}aB3d": "https://h/hook/***",
    f"ghp_{'a1B2' * 9}": HIDDEN,
    "AKIAABCDEFGHIJKLMNOP": HIDDEN,
    f"xoxb-1234567890-{SECRET}": HIDDEN,
    f"hf_{'aB3' * 12}": HIDDEN,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln": HIDDEN,
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----": HIDDEN,
}
HARMLESS = (
    "postgresql+psycopg://mlops@db.example.com/mlops",
    "postgresql://db:5432/mlops?sslmode=require&application_name=a@b",
    "sqlite:///.mlops/state.db",
    "s3://bucket/a@b/c",
    "s3://bucket/data/*.parquet",
    "abfs://container@account.dfs.core.windows.net/p",
    "ssh://git@github.com/x",
    "https://ray.example.com:8265",
    "https://host:8080/path@x",
    "https://h/y?email=a@b",
    "https://h/models/0123456789abcdef0123456789abcdef01234567",
    "http://127.0.0.1:9000/hook",
    "http://[::1]:8265/",
    "file:///srv/x",
    "examples.flights.features:departures",
    "the token that a refused plan shows",
    "SELECT a FROM t WHERE token = 'x' AND password = 'y'",
    "rate(http_requests_total{code='500'}[5m])",
    "user@example.com",
    "Mean delay; key=flight",
    "",
)


@pytest.mark.parametrize(("text", "told"), HELD.items())
def test_what_holds_a_credential(text: str, told: str) -> None:
    assert credential_in(text) is not None
    assert redacted(text) == told
    assert SECRET not in redacted(f"could not reach {text} in time") or '"' in text


@pytest.mark.parametrize("text", HARMLESS)
def test_what_holds_none(text: str) -> None:
    assert credential_in(text) is None
    assert redacted(text) == text or "token =" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"FATAL: password={SECRET} x", "FATAL: password=*** x"),
        (f"client_secret = '{SECRET} y'", "client_secret = '***'"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***"),
        (f'{{"password": "{SECRET}", "user": "x"}}', '{"password": "***", "user": "x"}'),
        (f'at postgresql://u:{SECRET}@h, then "postgresql://v:{SECRET}@h"', 'at postgresql://u:***@h, then "postgresql://v:***@h"'),
        ("password authentication failed for user u", "password authentication failed for user u"),
        ("Ray dashboard: http://127.0.0.1:8265 (token: .mlops/ray/token)",
         "Ray dashboard: http://127.0.0.1:8265 (token: .mlops/ray/token)"),
        ("password=$PGPASSWORD token={env: X} secret=<yours>", "password=$PGPASSWORD token={env: X} secret=<yours>"),
    ],
)  # fmt: skip
def test_what_others_say_is_redacted(text: str, told: str) -> None:
    assert redacted(text) == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"    password: {SECRET}", "    password: ***"),
        (f"  options: {{password: {SECRET}, a: b}}", "  options: {password: ***, a: b}"),
        (f'  storage_options: {{"secret": "{SECRET} y"}}', '  storage_options: {"secret": "***"}'),
        (f"  state: postgresql://mlops:{SECRET}@db  # why", "  state: postgresql://mlops:***@db  # why"),
        ("  urlFrom: {env: ALERT_URL}", "  urlFrom: {env: ALERT_URL}"),
        ("  labels: {view: arrivals, key: flight_id}", "  labels: {view: arrivals, key: flight_id}"),
    ],
)
def test_lines_of_a_spec_are_redacted(line: str, told: str) -> None:
    assert redacted_source(line) == told


def test_values_are_redacted_by_their_names() -> None:
    value = {
        "options": {"password": SECRET, "separator": ","},
        "apiKey": [SECRET, 7],
        "webhook": {"url": f"https://alerts.example.com/{SECRET}"},
        "path": f"s3://k:{SECRET}@b/x",
    }

    assert redacted_value(value) == {
        "options": {"password": HIDDEN, "separator": ","},
        "apiKey": [HIDDEN, 7],
        "webhook": {"url": "https://alerts.example.com/***"},
        "path": "s3://k:***@b/x",
    }


@pytest.mark.parametrize(
    "name",
    ["password", "PGPASSWORD", "secretKey", "AWS_SESSION_TOKEN", "api_key", "apikey", "aws_access_key_id", "accountKey",
     "X-Amz-Signature", "client-secret"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert named_secret(name)


@pytest.mark.parametrize(
    "name", ["key", "token_pattern", "tokenizer", "monkey", "primary_key", "passwordFrom", "", "7"]
)
def test_names_of_other_things(name: str) -> None:
    assert not named_secret(name)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://127.0.0.1:9000/hook", True),
        ("https://alerts.example.com/v1/ml-team", True),
        ("https://alertmanager:9093/api/v2/alerts", True),
        ("https://h", True),
        ("https://h/a?x=1", False),
        ("https://h/a#b", False),
        ("https://u@h/x", False),
        ("https://h/SECRET", False),
        (f"https://h/{SECRET}", False),
        ("https://h/0123456789abcdef", False),
        ("https://hooks.slack.com/services/t/b/x", False),
        ("ftp://h/x", False),
    ],
)
def test_addresses_that_everybody_may_know(url: str, plain: bool) -> None:
    assert plain_webhook(url) is plain


@given(st.text(alphabet="ab:/@=?&;#'\" \n.%{}*-_PASSWORDpassword0123", max_size=60))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("part", ["x", "a=b://", "password=", "://:", "eyJ", "aB1-", "a.", "'a:'", "https://a:b@c "])
def test_long_texts_take_no_longer_than_they_are_long(part: str) -> None:
    text = f"https://h/{part * (500_000 // len(part))}"
    began = time.process_time()
    redacted(text)
    credential_in(text)
    redacted_source(text)

    assert time.process_time() - began < 10
