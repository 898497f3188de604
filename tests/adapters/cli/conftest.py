"""The command under test: in this process (`run`) or as a real one (`command`), always in an empty directory."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters.cli.app import cli

ROOT = Path(__file__).parents[3]
TIMEOUT = 60  # seconds that any wait in these tests may last at most
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = [f"MAILVERDICT_{each}" for each in ("RULES", "STORE", "KEYS", "SMTP_PASSWORD")]
    for name in (*ours, "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "160")  # a narrower table folds its cells


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the command here; It must end with `status`, or one of several, and never by a traceback."""

    def run_(*words: str, status: int | tuple[int, ...] = 0, env: dict[str, str] | None = None) -> Result:
        result = CliRunner().invoke(cli, list(words), prog_name="mailverdict", env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in (status if isinstance(status, tuple) else (status,)), result.output
        return result

    return run_


@pytest.fixture
def document(run: Callable[..., Result]) -> Callable[..., Any]:
    """Run the command with `--format json` and return what it says."""
    return lambda *words, **options: json.loads(run(*words, "--format", "json", **options).stdout)


@pytest.fixture
def lines() -> Callable[..., str]:
    """Write documents, or raw text, as the lines of a file of attempts, and return its name."""

    def lines_(*documents: Any, name: str = "attempts.jsonl") -> str:
        raw = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in documents]
        Path(name).write_bytes(b"".join(each + b"\n" for each in raw))
        return name

    return lines_


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a real process that finds this checkout, and buffers as usual."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., "subprocess.CompletedProcess[bytes]"]:
    """Run the command as a real process; `env` is added to its environment."""

    def command_(
        *words: str | bytes, status: int = 0, env: dict[str, str] | None = None, **options: Any
    ) -> "subprocess.CompletedProcess[bytes]":
        ran = subprocess.run(
            [sys.executable, "-m", "adapters.cli", *words],
            env={**environment, **(env or {})},
            timeout=TIMEOUT,
            check=False,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        assert b"Traceback" not in (ran.stderr or b""), ran.stderr
        assert ran.returncode == status, (ran.stdout, ran.stderr)
        return ran

    return command_
