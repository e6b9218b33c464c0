"""A PostgreSQL server of one's own, for tests."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cr%t p{ss"


@dataclass
class Server:
    """A cluster in a folder; anyone may come by its socket, by TCP with the password."""

    folder: Path
    port: int
    programs: Path
    prefix: Sequence[str]  # how to run a program as somebody who is not root

    def url(self, password: str | None = None, database: str = "postgres") -> str:
        from sqlalchemy import URL

        where = {"host": "127.0.0.1", "port": self.port, "password": password}
        if password is None:
            where = {"query": {"host": str(self.folder), "port": str(self.port)}}
        url = URL.create("postgresql+psycopg", username="evolve", database=database, **where)
        return url.render_as_string(hide_password=False)

    def call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self.prefix, str(self.programs / program), *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )

    def start(self) -> None:
        options = f"-F -k {self.folder} -p {self.port} -c listen_addresses=127.0.0.1"
        log = str(self.folder / "log.txt")
        data = str(self.folder / "data")
        self.call("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", options)

    def stop(self) -> None:
        self.call("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", "immediate")

    def make(self, database: str) -> str:
        """A new database; its URL."""
        where = ("-h", str(self.folder), "-p", str(self.port), "-U", "evolve")
        self.call("createdb", *where, database)
        return self.url(database=database)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres", "createdb")):
            return folder
    return pytest.skip("PostgreSQL's initdb, pg_ctl and createdb are not installed")


def _prefix(folder: Path) -> Sequence[str]:
    """PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return ()
    names = {one.pw_name for one in pwd.getpwall()}
    name = next((n for n in ("postgres", "nobody") if n in names), None)
    if name is None or shutil.which("setpriv") is None:
        return pytest.skip("PostgreSQL refuses to run as root, and there is nobody else")
    user = pwd.getpwnam(name)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return (
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "env",
        f"HOME={folder}",
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def a_server() -> Iterator[Server]:
    """A running server; skips the test where there can be none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _programs()
    # not below pytest's folder, which only root may enter
    with tempfile.TemporaryDirectory(prefix="evolve-pg-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "password").chmod(0o644)
        server = Server(folder, free_port(), programs, _prefix(folder))
        how = ("--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-E", "UTF8")
        who = ("-U", "evolve", "--pwfile", str(folder / "password"))
        server.call("initdb", "-D", str(folder / "data"), "--locale=C", *how, *who)
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop()
