"""A command loads what it needs and no more: a pipeline starts `decide` often."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """\
import json, sys
from adapters.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
NEVER = {"sqlite3", "smtplib", "structlog", "prometheus_client", "ssl", "socketserver", "pytest", "hypothesis"}


@pytest.fixture
def loaded(environment: dict[str, str]) -> Callable[..., set[str]]:
    """The modules that a fresh process has loaded when the command has run."""

    def loaded_(*words: str) -> set[str]:
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, *words], env=environment, capture_output=True, timeout=60, check=True
        )
        return set(json.loads(ran.stderr.splitlines()[-1]))

    return loaded_


def test_decide_loads_no_database_mailer_or_log_and_rich_for_text_only(loaded: Any, lines: Any) -> None:
    asked = ("decide", "550 5.1.1 no", "--to", "jo@x.example")
    text = loaded(*asked)
    assert text & NEVER == set()
    assert "rich" in text  # the look itself is not blind
    batch = lines({"reply": "550"})
    for words in ((*asked, "--format", "json"), ("decide", "--batch", batch)):
        assert loaded(*words) & (NEVER | {"rich"}) == set()


def test_observe_loads_its_store_and_no_mailer_and_logs_only_when_asked(loaded: Any, lines: Any) -> None:
    words = ("observe", "--batch", lines({"reply": "550"}), "--store")
    assert loaded(*words, "memory:") & (NEVER | {"rich"}) == set()
    assert loaded(*words, f"sqlite:///{Path('mail.db')}", "--verbose") >= {"sqlite3", "structlog"}


def test_the_help_loads_no_command(loaded: Any) -> None:
    modules = loaded("--help")
    assert {each for each in modules if each.startswith("policy.")} == set()
    assert "adapters.cli.app" in modules
