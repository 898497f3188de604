"""The house rules: which wing may import what, that decisions stay pure, that modules stay small, what a wheel holds.

Each check is a function of (path, source) that yields `file:line: what is wrong`. The tree must give no findings,
and a table of small offences (`OFFENCES`) shows that each check sees what it is there for.
"""

import ast
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WINGS = ("policy", "adapters")
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 50

# Libraries that live in one place; a path that ends in a slash means everything below it.
HOMES = {
    "yaml": "policy/yamlfile.py",
    "re2": "policy/matching.py",
    "ahocorasick": "policy/matching.py",
    "hypothesis": "policy/testing/",
    "pytest": "policy/testing/",
    "prometheus_client": "adapters/metrics.py",
}
ASSEMBLERS = ("cli", "service")  # kinds of adapters that put the others together

TEST_KIT = "policy/testing/"  # tests need the world
READERS = ("policy/rules/source.py", "policy/diagnosis/datafile.py")  # read rules and knowledge, at first use
WORLD = frozenset(
    [
        "asyncio",
        "getpass",
        "http",
        "locale",
        "os",
        "platform",
        "random",
        "secrets",
        "select",
        "signal",
        "smtplib",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "time",
        "urllib",
        "uuid",
    ]
)
DISK = frozenset(["fileinput", "glob", "importlib", "pathlib", "pkgutil", "shutil"])
CLOCK = frozenset(
    ["datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"]
)
BUILT_IN = frozenset(["input", "open", "print"])

# What a pipeline must not pay for when it only imports the deciding wing.
HEAVY = frozenset(
    [
        "adapters",
        "click",
        "django",
        "http.client",
        "http.server",
        "hypothesis",
        "prometheus_client",
        "psycopg",
        "pytest",
        "rich",
        "smtplib",
        "sqlite3",
        "starlette",
        "structlog",
        "uvicorn",
    ]
)

Check = Callable[[str, str], Iterator[str]]


def imports(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of all that is imported, anywhere in the module; relative names resolved."""
    package = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            parts = [*base, *filter(None, [node.module])]
            yield from ((node.lineno, ".".join([*parts, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("__import__", "import_module")):
            yield from ((node.lineno, str(each.value)) for each in node.args if isinstance(each, ast.Constant))


def crossings(path: str, source: str) -> Iterator[str]:
    """Imports against the one direction: policy <- adapters <- cli, service."""
    wing, kind = path.removesuffix(".py").split("/")[:2]
    for line, name in imports(path, ast.parse(source)):
        top, *below = name.split(".")
        if wing == "policy" and top in ("adapters", "structlog"):
            yield f"{path}:{line}: `policy` imports `{name}`"
        if wing == "adapters" and top == wing and below and kind not in (*ASSEMBLERS, below[0]):
            yield f"{path}:{line}: `adapters/{kind}` imports its sibling `{name}`"


def strays(path: str, source: str) -> Iterator[str]:
    """Libraries outside the one place that they have."""
    for line, name in imports(path, ast.parse(source)):
        home = HOMES.get(name.split(".")[0], path)
        if path != home and not (home.endswith("/") and path.startswith(home)):
            yield f"{path}:{line}: `{name}` belongs in `{home}`"


def impurities(path: str, source: str) -> Iterator[str]:
    """Clock, chance, environment, network and disk in the deciding wing."""
    if not path.startswith("policy/") or path.startswith(TEST_KIT):
        return
    reads = path in READERS
    tree = ast.parse(source)
    for line, name in imports(path, tree):
        top = name.split(".")[0]
        if top in WORLD or (top in DISK and not reads):
            yield f"{path}:{line}: a decision module imports `{name}`"
    known = dict(_aliases(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _dotted(node, known) in CLOCK:
            yield f"{path}:{node.lineno}: `{ast.unparse(node)}` reads the clock"
        if isinstance(node, ast.Call) and ast.unparse(node).endswith(".astimezone()"):
            yield f"{path}:{node.lineno}: `astimezone` without a zone reads the environment"
        if isinstance(node, ast.Name) and node.id in BUILT_IN and not reads:
            yield f"{path}:{node.lineno}: `{node.id}` in a decision module"


def _aliases(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def giants(path: str, source: str) -> Iterator[str]:
    """Modules and functions that nobody can hold in mind."""
    length = len(source.splitlines())
    if length > LINES_OF_A_MODULE:
        yield f"{path}:{LINES_OF_A_MODULE + 1}: {length} lines in one module"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LINES_OF_A_FUNCTION:
                yield f"{path}:{node.lineno}: {length} lines in `{node.name}`"


def modules(*tops: str) -> list[tuple[str, str]]:
    """(path from the root, source) of every module below `tops`."""
    paths = sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))
    return [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


@pytest.mark.parametrize(
    ("check", "tops"),
    [(crossings, WINGS), (strays, WINGS), (impurities, WINGS), (giants, (*WINGS, "tests"))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_tree_keeps_the_house_rules(check: Check, tops: tuple[str, ...]) -> None:
    tree = modules(*tops)
    assert {"policy/reply.py", "adapters/__init__.py"} <= {path for path, _ in tree}
    findings = [finding for path, source in tree for finding in check(path, source)]
    assert not findings, "\n".join(findings)


OFFENCES = [
    (crossings, "policy/engine.py", "import attrs\nimport adapters.stores\n", 2),
    (crossings, "policy/engine.py", "def f():\n    from structlog import get_logger\n", 2),
    (crossings, "policy/rules/check.py", "from ...adapters import cli\n", 1),
    (crossings, "policy/engine.py", "from importlib import import_module\nimport_module('adapters.cli')\n", 2),
    (crossings, "adapters/mailers/smtplib.py", "from adapters.stores.memory import MemoryStore\n", 1),
    (crossings, "adapters/stores/sqlite.py", "from adapters import cli\n", 1),
    (crossings, "adapters/stores/sqlite.py", "from ..mailers import smtplib\n", 1),
    (strays, "policy/rules/describing/schema.py", "import yaml\n", 1),
    (strays, "adapters/cli/check.py", "from yaml import safe_load\n", 1),
    (strays, "policy/diagnosis/diagnose.py", "import re2\n", 1),
    (strays, "policy/rules/match.py", "import ahocorasick\n", 1),
    (strays, "policy/engine.py", "from hypothesis import given\n", 1),
    (strays, "adapters/stores/memory.py", "import pytest\n", 1),
    *((impurities, "policy/decide.py", f"import {name}\n", 1) for name in sorted(WORLD | DISK)),
    (impurities, "policy/rules/source.py", "import time\n", 1),
    (impurities, "policy/decide.py", "import datetime\nnow = datetime.datetime.now()\n", 2),
    (impurities, "policy/decide.py", "from datetime import datetime as d, UTC\nnow = d.now(UTC)\n", 2),
    (impurities, "policy/decide.py", "from datetime import datetime\nclock = datetime.utcnow\n", 2),
    (impurities, "policy/decide.py", "import datetime as dt\nday = dt.date.today()\n", 2),
    (impurities, "policy/decide.py", "\nlocal = at.astimezone()\n", 2),
    (impurities, "policy/decide.py", "with open('rules.yaml') as file:\n    pass\n", 1),
    (giants, "policy/decide.py", "\n" * 401, 401),
    (giants, "policy/decide.py", "\nclass A:\n    def f():\n" + "        pass\n" * 50, 3),
    (giants, "tests/test_reply.py", "async def f():\n" + "    pass\n" * 50, 1),
]


@pytest.mark.parametrize(("check", "path", "source", "line"), OFFENCES)
def test_each_check_sees_the_offence_and_says_where(check: Check, path: str, source: str, line: int) -> None:
    findings = list(check(path, source))
    assert len(findings) == 1
    assert findings[0].startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (crossings, "adapters/cli/observe.py", "from adapters.stores import sqlite\nimport structlog\n"),
        (crossings, "adapters/stores/sqlite.py", "from adapters.stores.rows import row\nfrom . import rows\n"),
        (strays, "policy/yamlfile.py", "import yaml\n"),
        (strays, "policy/testing/strategies.py", "import hypothesis, pytest\n"),
        (impurities, "policy/rules/source.py", "from pathlib import Path\nopen('rules.yaml')\n"),
        (impurities, "policy/testing/mailers.py", "import socket\n"),
        (impurities, "policy/decide.py", "from datetime import UTC, datetime\nat = clock.now().astimezone(UTC)\n"),
        (giants, "policy/decide.py", "def f():\n" + "    pass\n" * 49),
        (giants, "policy/decide.py", "\n" * 400),
    ],
)
def test_what_is_allowed_gives_no_finding(check: Check, path: str, source: str) -> None:
    assert list(check(path, source)) == []


@pytest.mark.parametrize("wing", WINGS)
def test_both_wings_are_typed_for_those_who_import_them(wing: str) -> None:
    assert (ROOT / wing / "py.typed").is_file()


def test_test_directories_are_not_packages() -> None:
    # Tests are imported by path; an __init__.py would make `tests` a package that shadows other people's.
    assert [str(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


def new_modules(*names: str) -> set[str]:
    """What a fresh interpreter has loaded after importing `names`, beyond what it starts with."""
    script = (
        f"import sys, importlib; before = set(sys.modules); [importlib.import_module(each) for each in {names!r}];"
        " print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


def test_importing_policy_loads_no_web_database_terminal_or_test_library() -> None:
    assert new_modules("policy") & HEAVY == set()


def test_no_module_of_policy_loads_web_database_terminal_or_test_libraries() -> None:
    names = [path.removesuffix(".py").replace("/", ".") for path, _ in modules("policy") if TEST_KIT not in path]
    loaded = new_modules(*(name.removesuffix(".__init__") for name in names))
    assert "policy.reply" in loaded
    assert loaded & HEAVY == set()
    assert new_modules("sqlite3") & HEAVY == {"sqlite3"}  # the look itself is not blind


SKIPS = {
    "in_the_test": "import pytest\ndef test_it():\n    pytest.skip('no server')\n",
    "by_a_mark": "import pytest\n@pytest.mark.skipif(True, reason='no server')\ndef test_it():\n    pass\n",
    "in_a_fixture": (
        "import pytest\n@pytest.fixture\ndef server():\n    pytest.skip('no server')\ndef test_it(server):\n    pass\n"
    ),
    "of_the_module": "import pytest\npytest.skip('no server', allow_module_level=True)\n",
    "of_a_doctest": "'''\n>>> import pytest; pytest.skip('no server')\n'''\n",
}
NO_SKIPS = {
    "passing": "def test_it():\n    pass\n",
    "known_bug": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n",
}


@pytest.mark.parametrize(
    ("required", "closing"), [("", "1 passed, 6 skipped, 1 xfailed"), ("1", "2 failed, 1 passed, 1 xfailed, 4 errors")]
)
def test_every_skip_fails_where_everything_is_required(
    required: str, closing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    for name, source in (SKIPS | NO_SKIPS).items():
        # The doctest lies outside `tests`, as those of the two wings do.
        place = tmp_path if name == "of_a_doctest" else tmp_path / "tests"
        (place / f"test_{name}.py").write_text(source)
    monkeypatch.setenv("MAILVERDICT_REQUIRE_ALL", required)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    options = ["-p", "no:cacheprovider", "--doctest-modules", "--continue-on-collection-errors", "--rootdir", "."]
    command = [sys.executable, "-m", "pytest", *options, "tests", "test_of_a_doctest.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"= {closing} in " in ran.stdout, ran.stdout


def test_what_the_papers_tell_people_to_make_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    papers = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("*.md"))
    assert {"demo", "test"} <= set(re.findall(r"(?:`|^ {4})make ([a-z]+)", papers, re.MULTILINE)) <= targets


def test_ci_runs_the_targets_that_people_run() -> None:
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & stat.S_IXUSR
    assert run.read_text().rstrip().endswith("make --no-print-directory test")


def build(kind: str, tree: Path, out: Path) -> Path:
    """Build `sdist`, `wheel` or `editable` of `tree` without a network; return the archive."""
    script = f"import sys; from hatchling.build import build_{kind} as build; print(build(sys.argv[1]))"
    ran = subprocess.run([sys.executable, "-c", script, out], cwd=tree, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return out / ran.stdout.split()[-1]


def test_a_wheel_made_from_the_sdist_carries_the_shipped_policy_and_the_licence(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", ROOT, tmp_path)) as sdist:
        for member in sdist.getmembers():
            if content := sdist.extractfile(member):
                (tmp_path / member.name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / member.name).write_bytes(content.read())
    (tree,) = (path for path in tmp_path.iterdir() if path.is_dir())
    with zipfile.ZipFile(build("wheel", tree, tmp_path)) as wheel:
        assert wheel.read("policy/rules/shipped.yaml") == (ROOT / "rules.yaml").read_bytes()
        tops = {name.split("/")[0] for name in wheel.namelist()}
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    assert {top for top in tops if not top.endswith(".dist-info")} == set(WINGS)


def test_an_editable_install_reads_the_policy_of_the_root(tmp_path: Path) -> None:
    with zipfile.ZipFile(build("editable", ROOT, tmp_path)) as wheel:
        assert not [name for name in wheel.namelist() if name.endswith(".yaml")]
        (link,) = (name for name in wheel.namelist() if name.endswith(".pth"))
        assert wheel.read(link).decode().split() == [str(ROOT)]
