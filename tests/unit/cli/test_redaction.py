"""What the command says of errors, and writes to the log, holds no credential, whoever put it into words."""

from __future__ import annotations

import logging
import subprocess
import sys

import click
import pytest

from controllers.cli import main as entry
from controllers.cli.progress import Progress
from controllers.cli.redaction import Redacting, aside, trace_redacted
from framework.api.errors import ConfigurationError, Problem, SpecError
from framework.ports.state import Event
from tests.builders import NOW

SECRET = "hunter2SECRETxyz"
ADDRESS = f"postgresql://mlops:{SECRET}@db.example/mlops"


@pytest.mark.parametrize(
    "error",
    [
        click.UsageError(f"no such file {ADDRESS}"),
        click.ClickException(f"cannot read {ADDRESS}"),
        ConfigurationError(f"cannot connect to {ADDRESS}"),
        SpecError([Problem("a.yaml", 1, 1, "spec.x", f"not {ADDRESS}")]),
    ],
)
def test_an_error_that_ends_a_command_holds_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(**options: object) -> None:
        raise error

    monkeypatch.setattr(entry.cli, "main", fail)
    with pytest.raises(SystemExit):
        entry.main()
    told = capsys.readouterr().err
    assert SECRET not in told
    assert "postgresql://mlops:***@db.example" in told


def test_nor_does_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    trace_redacted()
    try:
        try:
            raise OSError(ADDRESS)
        except OSError as error:
            raise RuntimeError("lost") from error
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert "RuntimeError: lost" in told
    assert "postgresql://mlops:***@db.example" in told
    assert SECRET not in told


def test_nor_does_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """In a message, in what fills it, and in the words of an exception."""
    try:
        raise OSError(ADDRESS)
    except OSError:
        logging.getLogger("vendor").exception("%s refused", ADDRESS)
    text = Redacting("%(message)s").format(caplog.records[0])
    assert text.startswith("postgresql://mlops:***@db.example/mlops refused")
    assert "Traceback" in text
    assert SECRET not in text


def test_nor_does_what_is_told_beside_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    aside(f"not now: see {ADDRESS}")
    Progress(lambda: NOW).say(f"TrainingJob/a  cannot reach {ADDRESS}")
    told = capsys.readouterr().err
    assert told.count("postgresql://mlops:***@db.example") == 2
    assert SECRET not in told


def test_nor_does_a_command_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """Its words are quoted in the error, and one of them may be an option with a password."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        subprocess.run(
            [sys.executable, "-c", "raise SystemExit(1)", f"--password={SECRET}", "--token", SECRET], check=True
        )
    aside(str(failed.value))
    event = Event(time=NOW, commit="c", ref=None, reason="Failed", message=str(failed.value))

    for told in (capsys.readouterr().err, event.message):
        assert "'--password=***', '--token', '***'" in told
        assert SECRET not in told
