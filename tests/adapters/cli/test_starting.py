"""`mailverdict init`: a file to start from, without a mistake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]


def test_init_writes_a_file_that_check_passes(run: Run) -> None:
    said = run("init").stdout
    assert said == "wrote mailverdict-rules.yaml: edit it, then `mailverdict check mailverdict-rules.yaml`\n"
    result = run("check", "mailverdict-rules.yaml")
    assert (result.stdout, result.stderr) == ("", "no mistakes\n")


def test_what_the_starter_has_in_comments_is_right_too(run: Run) -> None:
    run("init", "a.yaml")
    lines = Path("a.yaml").read_text().splitlines()
    tail = lines[next(n for n, line in enumerate(lines) if line.startswith("# schedules:")) :]
    Path("a.yaml").write_text("\n".join(["mailverdict: 1", *(line.removeprefix("# ") for line in tail)]) + "\n")
    run("check", "a.yaml")


def test_a_started_file_changes_no_decision(run: Run, document: Document) -> None:
    run("init", "a.yaml")
    ours, shipped = (document("decide", "550", "--to", "jo@x.example", "--now", "2026-01-01T00:00:00Z", *words)
                     for words in (("--rules", "a.yaml"), ()))  # fmt: skip
    assert ours | {"policy_version": ""} == shipped | {"policy_version": ""}


def test_init_writes_over_nothing_unless_it_is_told_to(run: Run) -> None:
    Path("a.yaml").write_text("mine")
    assert "is there already" in run("init", "a.yaml", status=2).stderr
    assert Path("a.yaml").read_text() == "mine"
    run("init", "a.yaml", "--force")
    run("check", "a.yaml")


def test_a_place_that_cannot_be_written_is_unavailable(run: Run) -> None:
    assert "cannot be written" in run("init", "missing/a.yaml", status=3).stderr
    assert "cannot be written" in run("init", ".", "--force", status=3).stderr


def test_init_says_in_json_what_it_wrote(document: Document) -> None:
    assert document("init", "a.yaml") == {"wrote": "a.yaml"}
