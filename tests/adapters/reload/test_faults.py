"""Whatever happens to a rules file: nothing waits, the last good rules stay, and a good file is taken once there."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from adapters.reload import Refused

_T = TypeVar("_T")

PATIENCE = 20  # seconds until a test says that something waits that must not
LONG_AGO = 10**18  # nanoseconds
OTHER = "mailverdict: 1\nrules:\n  - {id: other, then: {action: bounce}}\n"
CUT = b"mailverdict: 1\nrules:\n  - {id: own, then: {action: ho"
CUT_IN_A_CHARACTER = "mailverdict: 1\n# für".encode()[:-2]


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


FAULTS = [
    (Path.unlink, "unreadable"),
    (_directory, "not-a-file"),
    (_fifo, "not-a-file"),
    (_device, "not-a-file"),
    (_loop, "unreadable"),
    (lambda path: path.write_bytes(b""), "empty-file"),
    (lambda path: path.write_bytes(CUT_IN_A_CHARACTER), "not-utf-8"),
    (lambda path: path.write_bytes(CUT), "not-yaml"),
]


@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_a_file_that_something_happened_to_is_refused_and_taken_when_it_is_back(
    fault: Callable[[Path], object], code: str, site: Any
) -> None:
    fault(site.path)
    refused = _in_time(lambda: site.refuses(code))
    assert str(refused.problems[0]).startswith(f"{site.path}:")
    if site.path.is_dir():
        site.path.rmdir()
    site.write(OTHER.encode(), swap=True)
    site.takes(OTHER)


def _in_time(call: Callable[[], _T]) -> _T:
    """What a call returns; fails when it waits."""
    returned: list[_T] = []
    thread = threading.Thread(target=lambda: returned.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert returned, "failed, or waits"
    return returned[0]


def test_a_file_without_the_right_to_read_is_refused_and_taken_when_the_right_is_there(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    site.write(OTHER.encode())
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", forbidden)  # a test that runs as root may read all files
        assert "Permission denied" in str(site.refuses("unreadable").problems[0])
    site.takes(OTHER)


@pytest.mark.parametrize("written_to", [False, True])
def test_what_becomes_a_fifo_between_the_look_and_the_opening_does_not_wait(
    written_to: bool, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(path: str, flags: int) -> int:
        _fifo(site.path)
        if written_to:
            writers.append(really(path, os.O_RDWR))
        return really(path, flags)

    really, writers = os.open, list[int]()
    site.write(OTHER.encode())
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", swapped)
        refused = _in_time(site.look)
    for each in writers:
        os.close(each)
    assert isinstance(refused, Refused)
    assert [each.code for each in refused.problems] == ["changing"]
    assert site.holder.current is site.good


@pytest.mark.parametrize("late", [b"", OTHER.encode(), OTHER.encode() + b"# and more\n"])
@pytest.mark.parametrize("after", ["stat", "fstat"])
def test_a_file_that_is_written_while_it_is_read_is_refused_and_then_taken(
    after: str, late: bytes, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*words: Any, **options: Any) -> Any:
        found = really(*words, **options)
        site.path.write_bytes(late)
        return found

    really = getattr(os, after)
    site.write(b"mailverdict: 1\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, after, overtaken)
        refused = site.look()
    assert isinstance(refused, Refused)
    assert [each.code for each in refused.problems] == ["changing"]
    assert site.holder.current is site.good
    site.write(OTHER.encode())
    site.takes(OTHER)


@pytest.mark.parametrize("swap", [False, True], ids=["in place", "by rename"])
def test_a_good_file_is_taken_however_it_was_written_also_with_the_old_size_and_time(swap: bool, site: Any) -> None:
    site.write(OTHER.encode(), swap=swap)
    site.takes(OTHER)
    twin = OTHER.replace("other", "outer")
    site.write(twin.encode(), swap=swap, at=site.path.stat().st_mtime_ns)
    site.takes(twin)


def test_a_link_that_points_elsewhere_is_another_file(site: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(OTHER)
    os.utime(elsewhere, ns=(0, LONG_AGO))
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "link").replace(site.path)
    site.takes(OTHER)
