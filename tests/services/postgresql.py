"""A real PostgreSQL on loopback, with a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.waiting import until

PASSWORD = "p@ss/wörd:1"
"""With what an address would have to escape."""


@dataclass(frozen=True)
class Postgres:
    """``superuser`` may do everything; its password is :data:`PASSWORD`."""

    port: int
    process: subprocess.Popen[bytes]
    superuser: str = "boss"

    @property
    def url(self) -> str:
        """Without the password."""
        return f"postgresql://{self.superuser}@127.0.0.1:{self.port}/postgres"

    @property
    def _whole(self) -> str:
        return self.url.replace("@", f":{quote(PASSWORD, safe='')}@", 1)

    def execute(self, *statements: str) -> None:
        import adbc_driver_postgresql.dbapi as driver

        with driver.connect(self._whole) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()


def programs() -> Path:
    """The folder of ``initdb`` and ``postgres``."""
    found = [path for name in ("initdb",) if (path := shutil.which(name))]
    found += sorted(glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)
    if not found:
        pytest.skip("NO POSTGRESQL WAS TRIED: there is no initdb; apt-get install postgresql")
    return Path(found[0]).resolve().parent


@contextmanager
def served() -> Iterator[Postgres]:
    """One that listens on this machine alone. It refuses to run as root, so there it runs as somebody else."""
    bin_folder, root = programs(), os.geteuid() == 0
    user = _somebody() if root else None
    with tempfile.TemporaryDirectory(prefix="mlops-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(folder / "password", user)
        data = folder / "data"
        make = [
            bin_folder / "initdb",
            "-D",
            data,
            "-U",
            Postgres.superuser,
            "--pwfile",
            folder / "password",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder, timeout=120)
        port = _free_port()
        run = [
            bin_folder / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-c",
            "listen_addresses=127.0.0.1",
            "-k",
            folder,
            "-c",
            "fsync=off",
        ]
        process = subprocess.Popen(run, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: _is_ready(bin_folder, port), 60)
            yield Postgres(port, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _somebody() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _is_ready(programs: Path, port: int) -> bool:
    asked = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
