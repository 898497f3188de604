"""Laws of reload (law 11): a good change is put in force, and whatever else happens, the last good rules stay."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import reload
from adapters.reload import Refused, Reloaded, RulesWatcher
from adapters.stores.memory import MemoryStore
from policy.attempt import Attempt
from policy.decision import Decision
from policy.engine import Engine
from policy.holder import PolicyHolder
from policy.rules.policy import Policy
from policy.rules.source import RulesError, RulesFile, build_policy, load_policy
from policy.testing.files import operator_files
from policy.testing.scenarios import NOW, attempts
from policy.yamlfile import Problem

SECOND = 10**9  # nanoseconds
FEWER = settings(max_examples=max(10, settings().max_examples // 8))  # each reads several files

GOOD = "mailverdict: 1\n# für später\nrules:\n  - {id: own, then: {action: hold}}\n"
OTHER = "mailverdict: 1\nrules:\n  - {id: other, then: {action: bounce}}\n"
BAD = [
    b"",
    b"# nothing\n",
    b"mailverdict: 1\nrules:\n  - {id: own, then: {action: ho",
    b"mailverdict: 1\nrules:\n  - {id: own, then: {actoin: hold}}\n",
    GOOD.encode()[: GOOD.encode().index("ü".encode()) + 1],  # cut in mid-character
    b"\xef\xbb\xbfx\xff",
    GOOD.encode("utf-16"),
    b"mailverdict: 1\n\0",
    GOOD.encode() * 2,
    b"\xff" * 1000,
]


def decision(policy: Policy | PolicyHolder, attempt: Attempt) -> Decision:
    return Engine(policy, MemoryStore()).observe(attempt, now=NOW)


# ---- law 11 ---------------------------------------------------------------------------------------------------------

_versions = st.one_of(st.sampled_from([GOOD, OTHER]), operator_files(), st.sampled_from(BAD))
_steps = st.lists(st.one_of(attempts(), st.tuples(_versions, st.booleans())), max_size=8)


@FEWER
@given(steps=_steps)
def test_each_decision_is_what_the_last_good_version_alone_would_decide(
    site_at: Any, steps: list[Attempt | tuple[str | bytes, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site, last = site_at(folder), GOOD
        for step in steps:
            if isinstance(step, Attempt):
                assert decision(site.holder, step) == decision(site.policy(last), step)
                continue
            version, swap = step
            before = site.holder.current
            site.write(version if isinstance(version, bytes) else version.encode(), swap=swap)
            site.look()
            if isinstance(version, str):
                last = version
            else:
                assert site.holder.current is before
            assert (site.watcher.problem is not None) == isinstance(version, bytes)
            assert site.holder.current.version == site.policy(last).version


@FEWER
@given(text=st.one_of(st.just(GOOD), operator_files()), cut=st.floats(0, 1), swap=st.booleans())
def test_a_file_cut_anywhere_is_refused_or_good_by_itself_and_taken_once_it_is_whole(
    site_at: Any, text: str, cut: float, swap: bool
) -> None:
    whole = text.encode()
    half = whole[: int(cut * (len(whole) - 1))]
    with tempfile.TemporaryDirectory() as folder:
        site = site_at(folder)
        site.write(half)
        expected, problems = GOOD, _problems(half, str(site.path))
        news = site.look()
        if problems:
            assert news == Refused(problems, site.good.version)
            assert site.holder.current is site.good
        else:
            expected = half.decode()
        assert site.holder.current.version == site.policy(expected).version
        site.write(whole, swap=swap)
        site.look()
        assert site.holder.current.version == site.policy(text).version
        assert site.watcher.problem is None


def _problems(content: bytes, path: str) -> tuple[Problem, ...]:
    try:
        build_policy([RulesFile(path, content)])
    except RulesError as error:
        return error.problems
    return ()


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_all_files_are_read_again_and_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / "1.yaml", tmp_path / "2.yaml", tmp_path / "3.yaml"]
    for path in paths:
        path.write_bytes(BAD[3])
    holder = PolicyHolder(load_policy())
    watcher = RulesWatcher(paths, holder, every=timedelta(0))
    assert isinstance(refused := watcher.poll(), Refused)
    assert {each.file for each in refused.problems} == set(map(str, paths))
    paths[0].unlink()
    paths[2].unlink()
    assert isinstance(refused := watcher.poll(), Refused)
    assert [each.file for each in refused.problems] == [str(paths[0]), str(paths[2])]
    for path in paths:
        path.write_text(GOOD.replace("own", path.stem))
    in_order = load_policy(paths).version
    assert watcher.poll() == Reloaded(in_order)
    assert holder.current.version == in_order


def test_a_mistake_of_the_reader_itself_stops_nobody(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Policy:
        raise RecursionError("too deep")

    site.write(OTHER.encode())
    with monkeypatch.context() as patched:
        patched.setattr(reload, "build_policy", broken)
        assert "too deep" in str(site.refuses("unreadable").problems[0])
    site.write(OTHER.encode() + b"#")
    site.takes(OTHER + "#")


# ---- when it looks --------------------------------------------------------------------------------------------------


def test_files_are_looked_at_at_most_once_an_interval_and_also_after_the_clock_was_put_back(site: Any) -> None:
    site.write(OTHER.encode())
    site.now += SECOND - 1
    assert site.watcher.poll() is None
    site.now += 1
    assert site.watcher.poll() == Reloaded(site.holder.current.version)
    site.now -= 3600 * SECOND
    site.write(GOOD.encode())
    assert site.watcher.poll() == Reloaded(site.good.version)


@pytest.mark.parametrize("content", [OTHER.encode(), BAD[3]], ids=["taken", "refused"])
def test_a_file_that_did_not_change_is_not_opened_again(
    content: bytes, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write(content)
    assert site.look() is not None
    monkeypatch.setattr(os, "open", None)
    assert site.look() is None


def test_half_a_file_that_would_do_is_left_alone_until_it_stands_still(site: Any) -> None:
    whole = OTHER + "  - {id: later, then: {action: hold}}\n"
    site.now += 10 * SECOND
    site.write(OTHER.encode(), at=site.now)
    site.now += SECOND - 1
    assert site.watcher.poll() is None
    assert site.holder.current is site.good
    site.write(whole.encode(), at=site.now)
    site.takes(whole)


def test_a_file_from_the_future_is_taken(site: Any) -> None:
    site.write(OTHER.encode(), at=site.now + 10**17)
    site.takes(OTHER)


# ---- what it tells --------------------------------------------------------------------------------------------------


def test_each_change_is_logged_once_with_the_place_of_each_mistake(site: Any) -> None:
    site.write(BAD[3])
    site.look()
    site.look()
    site.write(BAD[3])  # written again, nothing changed
    site.look()
    site.write(BAD[3] + b"\n")
    site.look()
    site.write(OTHER.encode())
    site.look()
    site.write(OTHER.encode())
    site.look()
    refused = ("warning", "rules.refused")
    assert [each[:2] for each in site.log.events] == [refused, refused, ("info", "rules.reloaded")]
    first, _, last = (fields for _, _, fields in site.log.events)
    assert first["problems"] == [str(each) for each in _problems(BAD[3], str(site.path))]
    assert any(each.startswith(f"{site.path}:3:22: unknown-key: ") for each in first["problems"])
    assert first["policy_version"] == site.good.version
    assert last == {"files": [str(site.path)], "policy_version": site.holder.current.version}


def test_rules_that_are_good_again_are_told_and_the_policy_in_force_was_never_another(site: Any) -> None:
    site.write(BAD[0])
    site.refuses("empty-file")
    site.write(GOOD.encode())
    site.takes(GOOD)
    assert site.holder.current is site.good


# ---- signals --------------------------------------------------------------------------------------------------------


def _handler(signum: int) -> Any:
    return signal.getsignal(signum)


@pytest.fixture
def _sighup_is_somebody_elses() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_sighup_is_somebody_elses")
def test_sighup_reads_at_once_and_tells_what_came_of_it_and_only_as_long_as_it_was_wanted(site: Any) -> None:
    before = _handler(signal.SIGHUP)
    assert callable(before)
    with site.watcher.on_hangup():
        site.write(OTHER.encode(), at=site.now)
        assert site.watcher.poll() is None
        os.kill(os.getpid(), signal.SIGHUP)
        assert site.watcher.poll() == Reloaded(site.policy(OTHER).version)
        assert site.watcher.poll() is None
        os.kill(os.getpid(), signal.SIGHUP)
        assert site.watcher.poll() == Reloaded(site.policy(OTHER).version)  # nothing new, but somebody asked
    assert _handler(signal.SIGHUP) is before


def test_what_is_written_right_after_an_early_look_is_seen_although_it_looks_the_same(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_stamped", lambda found: reload._Stamp(site.now, 0, found.st_size, 0))
    first, second = OTHER, OTHER.replace("other", "outer")
    with site.watcher.on_hangup():
        site.write(first.encode())
        os.kill(os.getpid(), signal.SIGHUP)
        assert site.watcher.poll() == Reloaded(site.policy(first).version)
    same = reload._Stamp(site.now, 0, len(first), 0)
    monkeypatch.setattr(reload, "_stamped", lambda _: same)
    site.write(second.encode())
    site.takes(second)


@pytest.fixture
def _ends_by_sigterm() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_ends_by_sigterm")
def test_sigterm_in_a_reload_ends_it_and_leaves_the_policy_and_the_change_as_they_are(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(files: list[RulesFile]) -> Policy:
        os.kill(os.getpid(), signal.SIGTERM)
        return build_policy(files)

    before = _handler(signal.SIGHUP)
    site.write(OTHER.encode())
    with monkeypatch.context() as patched:
        patched.setattr(reload, "build_policy", terminated)
        with pytest.raises(SystemExit), site.watcher.on_hangup():
            site.look()
    assert _handler(signal.SIGHUP) is before
    assert site.holder.current is site.good
    site.takes(OTHER)
