"""What specs may name of the controller's machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError
from framework.api.places import Place, Premises, Use, refusal
from framework.premises import entered, secret

PROJECT = Premises("/home/u/project", ("/srv/mlops",), frozenset({"shop"}))


def why(use: Use, address: str) -> str | None:
    return refusal(Place("spec.x", address, use), PROJECT)


@pytest.mark.parametrize(
    ("use", "address"),
    [
        (Use.STORAGE, ".mlops/store"),
        (Use.STORAGE, "store/of/files"),
        (Use.STORAGE, "s3://bucket/x"),
        (Use.STORAGE, "simplecache::s3://bucket/x"),
        (Use.STORAGE, "memory://x"),
        (Use.STORAGE, "/srv/mlops/store"),
        (Use.STORAGE, "file:///srv/mlops/store"),
        (Use.STORAGE, "/home/u/project/.mlops/store"),
        (Use.DATABASE, "sqlite:///.mlops/state.db"),
        (Use.DATABASE, "sqlite:////srv/mlops/state.db"),
        (Use.DATABASE, "postgresql+psycopg://mlops@db/mlops"),
        (Use.ALERTS, "alerts.jsonl"),
        (Use.ALERTS, ".mlops/alerts/team.jsonl"),
        (Use.ALERTS, "/srv/mlops/alerts.jsonl"),
        (Use.SECRET, ".mlops/url"),
        (Use.SECRET, "/run/secrets/url"),
        (Use.SECRET, "/srv/mlops/url"),
    ],
)
def test_places_that_may_be_named(use: Use, address: str) -> None:
    assert why(use, address) is None


@pytest.mark.parametrize(
    ("use", "address", "says"),
    [
        (Use.STORAGE, "../../x", "lies outside of the project"),
        (Use.STORAGE, "a/../../x", "lies outside of the project"),
        (Use.STORAGE, "/etc", "lies outside of the project"),
        (Use.STORAGE, "/srv/mlopsX", "lies outside of the project"),
        (Use.STORAGE, "/srv/mlops/../x", "lies outside of the project"),
        (Use.STORAGE, "file:///srv/mlops/%2e%2e/x", "lies outside of the project"),
        (Use.STORAGE, "file:///srv/mlops/%6Cink", "is written without '%'"),
        (Use.STORAGE, "~root/x", "lies outside of the project"),
        (Use.STORAGE, "file:///etc", "may allow a folder with MLOPS_ALLOWED_PATHS"),
        (Use.STORAGE, "FILE:///etc", "lies outside of the project"),
        (Use.STORAGE, "local:///etc", "lies outside of the project"),
        (Use.STORAGE, "file:/etc", "lies outside of the project"),
        (Use.STORAGE, "simplecache::file:///etc", "'/etc' lies outside of the project"),
        (Use.STORAGE, "zip://a::file:///etc/x.zip", "'/etc/x.zip' lies outside of the project"),
        (Use.STORAGE, "filecache::s3://b::/etc", "lies outside of the project"),
        (Use.STORAGE, "dir://../../etc::file:///srv/mlops", "lies outside of the project"),
        (Use.STORAGE, "asynclocal:///etc", "lies outside of the project"),
        (Use.STORAGE, "simplecache::/etc", "'::' stands between the protocols of a URL"),
        (Use.STORAGE, "file://etc/x", "a file:// address is an absolute path"),
        (Use.STORAGE, ".", "the project's folder itself"),
        (Use.STORAGE, "/home/u/project", "the project's folder itself"),
        (Use.STORAGE, ".git/x", "hidden files are others'"),
        (Use.STORAGE, "a/.ssh", "hidden files are others'"),
        (Use.STORAGE, "mlops_specs/store", "mlops_specs/ holds what is committed"),
        (Use.STORAGE, "shop/store", "shop/ holds what is committed"),
        (Use.DATABASE, "sqlite:////elsewhere/outside.db", "lies outside of the project"),
        (Use.DATABASE, "sqlite:///../../outside.db", "lies outside of the project"),
        (Use.DATABASE, "sqlite:///%2e%2e/outside.db", "lies outside of the project"),
        (Use.DATABASE, "sqlite:///%2Fetc/x", "'/etc/x' lies outside of the project"),
        (Use.DATABASE, "sqlite:///%2Fetc/%C3%A9", "'/etc/é' lies outside of the project"),
        (Use.DATABASE, "sqlite:///%2Egit/x", "hidden files are others'"),
        (Use.DATABASE, "SQLITE:////etc/x", "lies outside of the project"),
        (Use.DATABASE, "sqlite+pysqlite:///.git/x", "hidden files are others'"),
        (Use.DATABASE, "sqlite:///shop/serving.py", "shop/ holds what is committed"),
        (Use.ALERTS, ".git/config", "hidden files are others'"),
        (Use.ALERTS, ".mlops/state.db", "whose name ends in .jsonl"),
        (Use.ALERTS, "shop/alerts.jsonl", "shop/ holds what is committed"),
        (Use.ALERTS, "../x.jsonl", "lies outside of the project"),
        (Use.ALERTS, "/tmp/x.jsonl", "lies outside of the project"),
        (Use.ALERTS, "s3://bucket/alerts.jsonl", "a file of the project or a webhook"),
        (Use.SECRET, "/etc/hostname", "lies outside of the project"),
        (Use.SECRET, "/run/secrets/../passwd", "lies outside of the project"),
        (Use.SECRET, "url.txt", "below .mlops/ or /run/secrets/"),
    ],
)
def test_places_that_may_not(use: Use, address: str, says: str) -> None:
    assert says in (why(use, address) or "")


def test_links_are_followed_before_a_place_is_used(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / ".mlops").mkdir(parents=True)
    elsewhere.mkdir()
    (project / ".mlops" / "store").symlink_to(elsewhere)
    (project / ".mlops" / "inside").symlink_to(project / ".mlops" / "there")

    with pytest.raises(ConfigurationError, match=f"leads to {elsewhere}.*MLOPS_ALLOWED_PATHS"):
        entered(".mlops/store", Use.STORAGE, Premises(str(project)))
    assert entered(".mlops/store", Use.STORAGE, Premises(str(project), (str(elsewhere),))) == elsewhere
    assert entered(".mlops/inside", Use.STORAGE, Premises(str(project))) == project / ".mlops" / "there"


def test_a_secret_is_read_from_where_nobody_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".mlops").mkdir()
    (tmp_path / ".mlops" / "word").write_text(" hunter2 \n")
    (tmp_path / "word").write_text("hunter2")
    monkeypatch.setenv("WORD", "hunter3\n")
    premises = Premises(str(tmp_path))

    assert secret("WORD", None, premises) == "hunter3"
    assert secret(None, ".mlops/word", premises) == "hunter2"
    for env, file, says in (
        ("NOBODY_SETS_THIS", None, "NOBODY_SETS_THIS is not set"),
        (None, "word", "a file with a secret lies below .mlops/"),
        (None, ".mlops/none", "No such file"),
        (None, "/etc/hostname", "lies outside"),
    ):
        with pytest.raises(ConfigurationError, match=says) as raised:
            secret(env, file, premises)
        assert "hunter" not in str(raised.value)
