"""What a person puts on the list: an address, one stream to it, or a domain; each command means the same by it."""

import json
from itertools import count
from typing import Any

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.cli.app import cli
from policy.decision import Scope

_NUMBERS = count()
NOON = "--now=2026-01-01T12:00:00Z"
STREAMS = st.text("abz09-_.@#é ", min_size=1, max_size=8).map(str.strip).filter(bool)
TARGETS = st.one_of(
    st.just((Scope.ADDRESS, "jo@x.example")),
    st.just((Scope.DOMAIN, "x.example")),
    STREAMS.map(lambda each: (Scope.STREAM, f"jo@x.example#{each}")),
)


def _asked(store: str, *words: str) -> Any:
    result = CliRunner().invoke(cli, [*words, f"--store={store}", "--format=json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _verdict(store: str, recipient: str, stream: str | None) -> str:
    named = [] if stream is None else [f"--stream={stream}"]
    (plan,) = _asked(store, "plan", "--to", recipient, *named, NOON)
    return str(plan["verdict"])


@given(TARGETS, STREAMS)
@settings(max_examples=12, deadline=None)
def test_what_is_added_is_what_the_plan_obeys_show_finds_and_remove_takes_away(
    target: tuple[Scope, str], other: str
) -> None:
    scope, name = target
    own = name.partition("#")[2] or None
    store = f"sqlite:///targets-{next(_NUMBERS)}.db"
    assert _asked(store, "suppressions", "add", name, "--source=unsubscribe", NOON)[0]["added"]
    (entry,) = _asked(store, "suppressions", "list", NOON)
    assert (entry["scope"], entry["address"]) == (scope.value, name)
    assert _asked(store, "suppressions", "show", name, NOON)[0]["suppressed"]
    assert _verdict(store, "jo@x.example", own) == "suppressed"
    wide = scope is not Scope.STREAM
    assert _verdict(store, "jo@x.example", None) == ("suppressed" if wide else "send")
    assert _verdict(store, "jo@x.example", other) == ("suppressed" if wide or other == own else "send")
    assert _verdict(store, "bo@x.example", own) == ("suppressed" if scope is Scope.DOMAIN else "send")
    assert _asked(store, "suppressions", "remove", name)[0]["removed"] == 1
    assert not _asked(store, "suppressions", "show", name, NOON)[0]["suppressed"]
    assert _verdict(store, "jo@x.example", own) == "send"
