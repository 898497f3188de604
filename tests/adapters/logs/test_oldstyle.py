"""Bounces from before RFC 3464: recipients where the extra is installed, and a clear line where it is not."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters.logs.dsn import read_report
from adapters.logs.oldstyle import ScannerMissing, old_recipients
from adapters.logs.recipient import Kind

QMAIL = (Path(__file__).parent / "reports" / "qmail.eml").read_bytes()


def test_without_the_scanner_an_old_style_bounce_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flufl.bounce", None)
    with pytest.raises(ScannerMissing):
        old_recipients(b"")
    (reported,) = read_report(QMAIL).recipients
    assert (reported.kind, reported.attempt) == (Kind.UNKNOWN, None)
    assert "pip install 'mailverdict[dsn]'" in reported.notes[0]


def scanner(failures: Callable[[Any], Any]) -> ModuleType:
    """A module with the one function of flufl.bounce that is used."""
    module = ModuleType("flufl.bounce")
    module.all_failures = failures  # type: ignore[attr-defined]
    return module


def test_the_scanners_addresses_are_read_strictly_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ({b"jo@example.org", b"no address"}, {b"JO@example.org", b"bo@example.org", b"\xff@example.org"})
    monkeypatch.setitem(sys.modules, "flufl.bounce", scanner(lambda _: found))
    assert [address.key for address in old_recipients(b"")] == ["bo@example.org", "jo@example.org"]


def test_a_scanner_that_stumbles_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(message: object) -> None:
        raise RecursionError

    monkeypatch.setitem(sys.modules, "flufl.bounce", scanner(stumble))
    assert old_recipients(QMAIL) == ()
    assert [each.kind for each in read_report(QMAIL).recipients] == [Kind.NONE]


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("From: MAILER-DAEMON@old.example", True),
        ("From: Mail System <postmaster@old.example>\nAuto-Submitted: auto-generated", True),
        ("X-Failed-Recipients: jo@example.org\nAuto-Submitted: auto-replied", True),
        ("Return-Path: <>", True),
        ("Return-Path: <>\nAuto-Submitted: auto-replied", False),
        ("From: jo@example.org", False),
    ],
)
def test_only_mail_that_looks_like_a_bounce_is_given_to_the_scanner(header: str, asked: bool) -> None:
    calls: list[bytes] = []

    def scan(raw: bytes) -> tuple[()]:
        calls.append(raw)
        return ()

    read_report(f"{header}\n\nhello".encode(), scan=scan)
    assert bool(calls) is asked
