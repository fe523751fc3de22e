"""What counts as a credential, in specs and in outputs, and what is left alone though it looks a little like one."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.credentials import (
    HIDDEN,
    credential_in,
    plain_webhook,
    redacted,
    redacted_source,
    redacted_value,
)
from framework.api.secret_names import MARKS, named_secret, secret_parameter

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
    f"postgresql://db/m?user=m&sslpassword={SECRET}": "postgresql://db/m?user=m&sslpassword=***",
    f"postgresql://db/m?user=m&pass={SECRET}": "postgresql://db/m?user=m&pass=***",
    f"postgresql://db/m?PASSWORD={SECRET}": "postgresql://db/m?PASSWORD=***",
    f"postgresql://db/m?pass%77ord={SECRET}": "postgresql://db/m?pass%77ord=***",
    f"postgresql://db/m?pass%2577ord={SECRET}": "postgresql://db/m?pass%2577ord=***",
    f"postgresql://u:hun {SECRET}@h/db": "postgresql://u:***@h/db",
    f"sqlserver://h:1433;user=u;Pwd={SECRET}": "sqlserver://h:1433;user=u;Pwd=***",
    f"http://h/?auth={SECRET}": "http://h/?auth=***",
    f"http://h/?key={SECRET}": "http://h/?key=***",
    f"s3://b/x?auth={SECRET}": "s3://b/x?auth=***",
    f"s3://b/x?code={SECRET}": "s3://b/x?code=***",
    f"s3://b/x?sig={SECRET}&a=b": "s3://b/x?sig=***&a=b",
    f"s3://b/x?sas={SECRET}": "s3://b/x?sas=***",
    f"https://h/x#access_token={SECRET}&a=b": "https://h/x#access_token=***&a=b",
    f"https://h/x;jwt={SECRET}": "https://h/x;jwt=***",
    f"https://h/x?Ocp-Subscription-Key={SECRET}": "https://h/x?Ocp-Subscription-Key=***",
    f"https://h/x?mytoken={SECRET}&clientsecret={SECRET}": "https://h/x?mytoken=***&clientsecret=***",
    f"s3://h/login?next=%2Fa%3Fkey%3D{SECRET}%26a%3Db": "s3://h/login?next=%2Fa%3Fkey%3D***%26a%3Db",
    f"s3://b/x?endpoint_url=http://u:{SECRET}@h:9000": "s3://b/x?endpoint_url=http://u:***@h:9000",
    f"s3://b/x?endpoint_url=http%3A%2F%2Fu%3A{SECRET}%40h": "s3://b/x?endpoint_url=http%3A%2F%2Fu%3A***%40h",
    f"https://hooks.slack.com/services/T0/B0/{SECRET}": "https://hooks.slack.com/***",
    f"https://hooks.slack.com:443/services/T0/B0/{SECRET}": "https://hooks.slack.com:443/***",
    f"https://HOOKS.slack.com./services/T0/B0/{SECRET}": "https://HOOKS.slack.com./***",
    f"https://canary.discord.com/api/webhooks/1/{SECRET}": "https://canary.discord.com/api/webhooks/***",
    f"https://ptb.discord.com:443/api/v10/webhooks/1/{SECRET}": "https://ptb.discord.com:443/api/v10/webhooks/***",
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
    "postgresql://db/m?sslmode=verify-full&connect_timeout=5&application_name=mlops&sslkey=/run/tls/client.key",
    "s3://b/x?region=eu-west-1&endpoint_url=http://minio:9000&partition_key=day&primary_key=id",
    "mongodb://h/db?authSource=admin&authMechanism=SCRAM-SHA-256",
    "https://h/x?country_code=US&auth=true&code=404&key=7",
    "https://h/x?keyboard=de&author=x&design=y#keys",
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


SAID = {
    f"--password={SECRET} x": "--password=*** x",
    f"-Ddb.password={SECRET}": "-Ddb.password=***",
    f"--db-password={SECRET}": "--db-password=***",
    f"run --password {SECRET} --user x": "run --password *** --user x",
    f"run --token '{SECRET} y' x": "run --token '***' x",
    f"Command '['false', '--password={SECRET}']' returned 1": "Command '['false', '--password=***']' returned 1",
    f"['x', '--password=hun {SECRET}', 'y']": "['x', '--password=***', 'y']",
    f"['x', '--password', '{SECRET}']": "['x', '--password', '***']",
    f'["x", "--api-key", "{SECRET}", "y"]': '["x", "--api-key", "***", "y"]',
    rf"'[\'x\', \'--password\', \'{SECRET}\']'": r"'[\'x\', \'--password\', \'***\']'",
    f"X-Api-Key: {SECRET}": "X-Api-Key: ***",
    f"the password: `{SECRET}`": "the password: `***`",
    f"X-Auth-Token:{SECRET}": "X-Auth-Token:***",
    f"password: {SECRET} for u": "password: *** for u",
    f"Password:{SECRET}": "Password:***",
    f"client_secret   =  {SECRET}": "client_secret   =  ***",
    f"_password={SECRET}": "_password=***",
    f"{'x' * 90}_password={SECRET}": f"{'x' * 90}_password=***",
    f"DB_PASSWORD_2={SECRET}": "DB_PASSWORD_2=***",
    f"dbpassword={SECRET}": "dbpassword=***",
    f"DB_PASS={SECRET} x": "DB_PASS=*** x",
    f"os.environ['DB_PASS'] = '{SECRET}'": "os.environ['DB_PASS'] = '***'",
    f"env pass={SECRET} x": "env pass=*** x",
    f"GET /x?pass={SECRET}&a=b": "GET /x?pass=***&a=b",
    f'{{"user": "u", "pass": "{SECRET}"}}': '{"user": "u", "pass": "***"}',
    f"password='a\\'{SECRET}' x": "password='***' x",
    f"password='it''s {SECRET}' x": "password='***' x",
    f"password='{SECRET} y": "password='***",
    f"password=b'{SECRET}'": "password=b'***'",
    f"password=SecretStr('{SECRET}')": "password=SecretStr('***')",
    f"{{'passwords': ['{SECRET}', 'b']}}": "{'passwords': [***]}",
    f"secrets=('{SECRET}', 'b') x": "secrets=(***) x",
    f"passwords: [{SECRET}, b]": "passwords: [***]",
    rf'{{\"password\": \"{SECRET} y\", \"a\": 1}}': r'{\"password\": \"***\", \"a\": 1}',
    rf'{{\"password\": \"a\\\"{SECRET}\"}}': r'{\"password\": \"***\"}',
    f"Authorization: token {SECRET}": "Authorization: token ***",
    f"{{'Authorization': 'Token {SECRET}'}}": "{'Authorization': 'Token ***'}",
    f"Authorization: {SECRET}": "Authorization: ***",
    f"Set-Cookie: session={SECRET}; Path=/": "Set-Cookie: ***",
    f"at postgresql://u:hun {SECRET}@h/db, twice": "at postgresql://u:***@h/db, twice",
}  # fmt: skip
"""What others put into words: hidden, and no reason to refuse a spec, in which it may be about a column."""
ORDINARY = (
    "waits for TrainingJob/x: 3 of 4 GPUs",
    "labels: {view: arrivals, key: flight_id}",
    "key: delivery_id, and the partition key: day",
    "missing key: 'a'",
    "pass: 3 of 4",
    "pass=3 fail=1 pass=0.5 pass=True",
    "token 7 is stale: the newest is 8",
    "token: 7",
    "signature: int",
    "sort key = distance",
    "a;key=flight #key=x",
    "the password: it is missing",
    "invalid password: try again",
    "password: required",
    "def connect(user: str, password: str, secret: Optional[str])",
    "spec.trainer.function.params.apiKey: holds a value whose name says that it is secret",
    "spec.storage.password: unrecognised",
    "holds a secret (token=…); take it out",
    "if the address is no secret: nothing but plain words",
    "secret: what the forge signs with",
    "a parameter (`?token=`, `&password=`), a header (`X-Api-Key:`), a variable (`DB_PASS=`)",
    '{"Pass": GOOD, "pass": 3}',
    "--password is required",
    "error: argument --password: expected one argument",
    "give --password or --token, or --password-file x",
    "--token 7",
    "--password --user x",
    "read secret://vault/x and mount /run/secret:ro",
    "authorization: denied for user u",
    "password=${PASS} --password $PASS --password <yours>",
    "see http://head:8265 and ask a@b.example",
    "cannot reach redis://cache: see http://h, http://[::1]:80/ or ask a@b.example",
    "token_pattern: '[a-z]+', tokenizer='x', monkey=3",
    "the design: assigned=1, pass-through: on, bypass=off",
)


@pytest.mark.parametrize(("text", "told"), SAID.items())
def test_what_is_said_of_a_secret_is_redacted(text: str, told: str) -> None:
    assert redacted(text) == told
    assert redacted(text.replace(SECRET, "hunter2")) == told or "Authorization" in text
    for within in (json.dumps({"a": text}), repr([text]), f"x: {text}\ny"):
        assert SECRET not in redacted(within)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_sentences_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text
    assert credential_in(text) is None


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
        (f"- password: hun {SECRET}, y  # why", "- password: ***  # why"),
        (f"  options: {{password: hun {SECRET}, a: b}}", "  options: {password: ***, a: b}"),
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
     "X-Amz-Signature", "client-secret", "sslpassword", "passwords", "DB_PASS", "smtpPass", "password_2"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert named_secret(name)
    assert secret_parameter(name)
    assert any(mark in name.casefold() for mark in MARKS)


@pytest.mark.parametrize(
    "name",
    ["key", "token_pattern", "tokenizer", "monkey", "primary_key", "passwordFrom", "", "7", "pass", "first_pass"],
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
        ("https://hooks.slack.com:443/services/t/b/x", False),
        ("https://ptb.discord.com/api/webhooks/1/x", False),
        ("ftp://h/x", False),
    ],
)
def test_addresses_that_everybody_may_know(url: str, plain: bool) -> None:
    assert plain_webhook(url) is plain


@given(st.text(alphabet="ab:/@=?&;#'\" \n.%{}*-_PASSWORDpassword0123", max_size=60))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    ["x", "a=b://", "password=", "://:", "eyJ", "aB1-", "a.", "'a:'", "https://a:b@c ",
     "password='", 'password=\\"', "password=[", "--password ", "-", "\\", "passwords: ['a", "?key=a",
     "://a:", "://a:b ", "token:", "'--password=a", "password: ", "Cookie: a=", "authorization:a"],
)  # fmt: skip
def test_long_texts_take_no_longer_than_they_are_long(part: str) -> None:
    text = f"https://h/{part * (500_000 // len(part))}"
    began = time.process_time()
    redacted(text)
    credential_in(text)
    redacted_source(text)

    assert time.process_time() - began < 10
