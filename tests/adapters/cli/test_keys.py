"""`--keys`, `mailverdict keys` and `mailverdict erase`: nobody in clear, the same answers, and erased is gone."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
KEYS = ("--keys", "mail.keys")
GONE = {"reply": "550 5.1.1 <jo.longname@x.example>: no such user jo.longname", "command": "RCPT"}
JO = "Jo.LongName@x.example"


def new_key(run: Run, id_: str, name: str = "mail.keys") -> str:
    """Put a fresh key above those of the file, and return its line."""
    path, line = Path(name), run("keys", "new", "--id", id_).stdout
    path.write_text(f"# secret\n{line}{path.read_text() if path.exists() else ''}")
    path.chmod(0o600)
    return line


@pytest.fixture
def past(run: Run, lines: Lines) -> None:
    """A bounce of Jo's, and a complaint, behind a veil."""
    new_key(run, "k1")
    run("observe", "--batch", lines({**GONE, "recipient": JO, "message_id": "m1"}), *STORE, *KEYS, "--verbose")


def kept() -> bytes:
    return b"".join(path.read_bytes() for path in Path().glob("mail.db*")).lower()


@pytest.mark.usefixtures("past")
def test_no_command_leaves_an_address_in_clear_and_each_finds_what_it_wrote(document: Document, run: Run) -> None:
    run("suppressions", "add", "ed.longname@x.example", "--note", "Ed.LongName phoned", *STORE, *KEYS)
    Path("list.txt").write_text("di.longname@x.example\n")
    run("suppressions", "import", "list.txt", *STORE, *KEYS)
    for local in ("jo", "Ed", "di"):
        asked = f"{local}.longname@X.example"
        (plan,) = document("plan", "--to", asked, *STORE, *KEYS)
        assert (plan["verdict"], plan["recipient"].lower()) == ("suppressed", asked.lower())
        (shown,) = document("suppressions", "show", asked, *STORE, *KEYS)
        assert shown["suppressed"]
    assert [each["recipient"][:10] for each in document("log", "--to", JO, *STORE, *KEYS)] == ["veiled.k1."]
    assert document("log", "--to", "no@x.example", *STORE, *KEYS) == []
    assert len(document("why", "m1", "--to", JO, *STORE, *KEYS)["recipients"]) == 1
    assert b"longname" not in kept()
    assert b"veiled.k1." in kept()
    (removed,) = document("suppressions", "remove", JO, *STORE, *KEYS)
    assert removed["removed"] == 1
    assert document("plan", "--to", JO, *STORE, *KEYS)[0]["verdict"] == "send"


def test_the_log_names_nobody(run: Run, lines: Lines) -> None:
    new_key(run, "k1")
    logged = run("observe", "--batch", lines({**GONE, "recipient": JO}), *STORE, *KEYS, "--log-addresses").stderr
    assert "veiled.k1." in logged
    assert "longname" not in logged.lower()


def test_the_same_line_again_is_the_same_attempt_behind_the_veil(run: Run, lines: Lines, document: Document) -> None:
    new_key(run, "k1")
    batch = lines({**GONE, "recipient": JO, "now": "2026-01-01T09:00:00Z"})
    answers = [run("observe", "--batch", batch, *STORE, *KEYS).stdout for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(document("log", *STORE)) == 1
    assert "longname" not in json.dumps(answers).lower()


def test_ids_that_are_made_for_a_line_are_no_digests_of_the_address(run: Run, lines: Lines, document: Document) -> None:
    batch, ids = lines({**GONE, "recipient": JO, "now": "2026-01-01T09:00:00Z"}), set()
    for name in ("one", "other"):
        new_key(run, "k1", f"{name}.keys")
        run("observe", "--batch", batch, "--store", f"sqlite:///{name}.db", "--keys", f"{name}.keys")
        ids |= {
            each[key] for each in document("log", "--store", f"sqlite:///{name}.db") for key in ("id", "message_id")
        }
    assert len(ids) == 2  # a message of one attempt has the attempt's id


@pytest.mark.usefixtures("past")
def test_a_veiled_store_is_not_used_without_keys(run: Run, lines: Lines) -> None:
    batch = lines({**GONE, "recipient": JO})
    for words in (
        ("plan", "--to", JO), ("observe", "--batch", batch), ("suppressions", "show", JO), ("log", "--to", JO),
        ("suppressions", "remove", JO), ("erase", JO, "--suppressions", "keep"), ("why", "m1", "--to", JO),
    ):  # fmt: skip
        assert "no-keys" in run(*words, *STORE, status=2).stderr
    run("plan", "--to", JO, *STORE, env={"MAILVERDICT_KEYS": "mail.keys"})


@pytest.mark.usefixtures("past")
def test_a_newer_key_finds_what_older_ones_keep(document: Document, run: Run) -> None:
    new_key(run, "k2")
    assert document("plan", "--to", JO, *STORE, *KEYS)[0]["verdict"] == "suppressed"
    assert len(document("log", "--to", JO, *STORE, *KEYS)) == 1
    assert document("suppressions", "remove", JO, *STORE, *KEYS)[0]["removed"] == 1


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        ("k1 !!!!", 0o600, "bad.keys:1: bad-secret: "),
        ("# c\n\nk1", 0o600, "bad.keys:3: not-a-key: "),
        ("K1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0o600, "bad.keys:1: bad-key: "),
        ("k1 AAAA", 0o600, "bad.keys:1: bad-key: "),
        ("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" * 2, 0o600, "bad.keys:2: duplicate-key: "),
        ("# none\n", 0o600, "bad.keys: no-key: "),
        ("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0o640, "bad.keys: open-keys: "),
        ("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0o602, "bad.keys: open-keys: "),
        ("\x00" * 64_001, 0o600, "bad.keys: too-long: "),
    ],
)
def test_a_bad_file_of_keys_is_told_in_one_line_without_its_secrets(
    content: str, mode: int, told: str, run: Run
) -> None:
    path = Path("bad.keys")
    path.write_text(content)
    path.chmod(mode)
    said = run("plan", "--to", JO, *STORE, "--keys", "bad.keys", status=2).stderr
    assert said.startswith(f"mailverdict: {told}")
    assert said.count("bad.keys") == 1
    assert said.count("\n") == 1
    assert "AAAA" not in said
    assert not Path("mail.db").exists()


def test_keys_that_are_not_there_are_unavailable_and_a_new_key_is_new(document: Document, run: Run) -> None:
    assert "cannot be read" in run("plan", "--to", JO, *STORE, "--keys", "none.keys", status=3).stderr
    assert document("keys", "new")["secret"] != document("keys", "new")["secret"]
    assert "bad-key" in run("keys", "new", "--id", "A.B", status=2).stderr


def test_an_erasure_says_what_there_was_and_of_nobody_that_there_was_nothing(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines({**GONE, "recipient": JO}), *STORE)
    words = ("--suppressions", "keep", *STORE)
    assert run("erase", "nobody@x.example", *words).stdout == "nobody@x.example: nothing is kept of it\n"
    said = run("erase", JO, *words).stdout
    assert said.startswith(
        "jo.longname@x.example: erased\n  1 line of the ledger\n  1 message's progress\n  0 strikes\n"
    )
    assert "  1 suppression kept\n" in said
    assert run("erase", JO, *words).stdout.startswith("jo.longname@x.example: nothing is left to erase\n")


LISTS = [
    ("suppressions", "list"), ("suppressions", "export", "--format", "csv"), ("rescue", "--since", "9999d"),
    ("suppressions", "undo", "--since", "9999d", "--dry-run"),
]  # fmt: skip


@pytest.mark.parametrize("listing", LISTS, ids=" ".join)
@pytest.mark.usefixtures("past")
def test_a_list_of_veiled_names_says_so_in_one_line_of_standard_error(listing: tuple[str, ...], run: Run) -> None:
    told = run(*listing, *STORE)
    assert "veiled.k1." in told.stdout
    assert told.stderr.startswith("mailverdict: recipients are shown by their veiled names; `")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("listing", LISTS, ids=" ".join)
def test_a_list_of_addresses_in_clear_says_nothing_of_names(listing: tuple[str, ...], run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines({**GONE, "recipient": JO}), *STORE)
    told = run(*listing, *STORE)
    assert "jo.longname@x.example" in told.stdout.lower()
    assert told.stderr == ""


@pytest.mark.parametrize("listing", [("suppressions", "list"), ("suppressions", "export"), ("rescue",)], ids=" ".join)
@pytest.mark.parametrize("again", [False, True], ids=["one key", "a newer key"])
def test_a_list_finds_an_address_that_is_asked_for_under_every_name(
    listing: tuple[str, ...], again: bool, run: Run, lines: Lines
) -> None:
    new_key(run, "k1")
    told = ({**GONE, "recipient": each, "message_id": "m1"} for each in (JO, "ed.longname@x.example"))
    run("observe", "--batch", lines(*told), *STORE, *KEYS)
    if again:
        new_key(run, "k2")

    def found(address: str) -> int:
        told = run(*listing, "--recipient", address, *STORE, *KEYS, "--format", "json")
        assert told.stderr == ""
        return len(re.findall(r'"(?:address|recipient)": ?"veiled\.k1\.', told.stdout))

    assert [found(each) for each in (JO.lower(), JO, "no@x.example")] == [1, 1, 0]
    assert "no-keys" in run(*listing, "--recipient", JO, *STORE, status=2).stderr


def test_asking_a_list_with_keys_veils_nothing(run: Run, document: Document) -> None:
    run("suppressions", "add", JO, *STORE)
    new_key(run, "k1")
    (entry,) = document("suppressions", "list", "--recipient", JO, *STORE, *KEYS)
    assert entry["address"] == JO.lower()
    assert document("plan", "--to", JO, *STORE)[0]["verdict"] == "suppressed"  # without keys, as before


def test_whom_a_complaint_under_an_older_name_keeps_off_is_not_rescued(run: Run, lines: Lines) -> None:
    new_key(run, "k1")
    run("observe", "--batch", lines({"event": "complaint", "recipient": JO}), *STORE, *KEYS)
    new_key(run, "k2")
    run("observe", "--batch", lines({**GONE, "recipient": JO}), *STORE, *KEYS)
    assert run("rescue", "--recipient", JO, *STORE, *KEYS, "--format", "json").stdout == ""


def test_a_forward_from_before_the_keys_is_found_by_its_address(run: Run, lines: Lines, document: Document) -> None:
    told = ({"reply": MOVED, "command": "RCPT", "recipient": each} for each in (JO, "ed@x.example"))
    run("observe", "--batch", lines(*told), *STORE)
    new_key(run, "k1")
    assert len(document("forwards", "list", *STORE)) == 2
    (note,) = document("forwards", "list", "--recipient", JO, *STORE, *KEYS)
    assert note["address"] == JO.lower()
    run("observe", "--batch", lines({**GONE, "recipient": JO}), *STORE, *KEYS)
    assert "forwards are not noted where there are keys" in run("forwards", "list", *STORE).stderr


MOVED = "251 User not local; will forward to <new.person@new.example>"


@pytest.mark.parametrize(
    ("command", "reply", "so_far"), [("RCPT", MOVED, "accepted so far; "), ("DOT", "250 ok", "delivered: ")]
)
def test_of_a_forward_that_keys_leave_out_nothing_says_that_it_is_noted(
    command: str, reply: str, so_far: str, run: Run, lines: Lines, document: Document
) -> None:
    new_key(run, "k1")
    told = {"recipient": JO, "message_id": "m1", "reply": reply, "command": command}
    batch = lines(told if command == "RCPT" else told | {"rcpt_reply": MOVED})
    answer = json.loads(run("observe", "--batch", batch, *STORE, *KEYS).stdout)
    assert "note-forward" not in [each["effect"] for each in answer["effects"]]
    (says,) = (each["says"] for each in answer["evidence"] if each["kind"] == "forward-path")
    assert "not noted" in says
    assert "waits for approval" not in json.dumps(answer)
    story = " ".join(run("why", "m1", *STORE).stdout.split())
    assert f"what {so_far}" in story
    assert "the new address is not noted, for there are keys" in story
    assert "names no usable address" not in story
    assert "for a person to approve" not in story
    assert document("forwards", "list", *STORE) == []


def test_without_keys_it_must_be_said_what_becomes_of_suppressions(run: Run, lines: Lines, document: Document) -> None:
    run("observe", "--batch", lines({**GONE, "recipient": JO}, {**GONE, "recipient": "ed@x.example"}), *STORE)
    assert "unsubscribe" in run("erase", JO, *STORE, status=2).stderr
    tried = document("erase", JO, "--suppressions", "remove", "--dry-run", *STORE)
    assert len(document("log", *STORE)) == 2
    done = document("erase", JO, "--suppressions", "keep", *STORE)
    assert (tried["erased"]["ledger"], done["erased"]["ledger"], done["erased"]["kept"]) == (1, 1, 1)
    assert (tried["erased"]["suppressions"], done["erased"]["suppressions"]) == (1, 0)
    assert document("plan", "--to", JO, *STORE)[0]["verdict"] == "suppressed"
    assert document("erase", JO, "--suppressions", "remove", *STORE)["erased"]["suppressions"] == 1
    assert document("plan", "--to", JO, *STORE)[0]["verdict"] == "send"
    assert [each["recipient"] for each in document("log", *STORE)] == ["ed@x.example"]


def test_with_keys_an_unsubscribe_outlives_the_erasure_under_the_veiled_name(
    run: Run, document: Document, lines: Lines
) -> None:
    run("suppressions", "add", JO, "--source", "unsubscribe", *STORE)
    run("observe", "--batch", lines({**GONE, "recipient": JO}), *STORE)
    new_key(run, "k1")
    erased = document("erase", JO, *STORE, *KEYS)["erased"]
    assert (erased["ledger"], erased["suppressions"], erased["kept"]) == (1, 0, 1)
    (entry,) = document("suppressions", "list", *STORE)
    assert (entry["address"][:10], entry["source"]) == ("veiled.k1.", "unsubscribe")
    assert document("plan", "--to", JO, *STORE, *KEYS)[0]["verdict"] == "suppressed"
    assert document("erase", JO, "--suppressions", "remove", *STORE, *KEYS)["erased"]["suppressions"] == 1
    assert document("suppressions", "list", *STORE) == []


QUESTIONS = [
    ("plan", "--to", "x@y.example"), ("suppressions", "show", "x@y.example"), ("log", "--to", "x@y.example"),
    ("suppressions", "remove", "x@y.example"), ("erase", "x@y.example"), ("erase", JO, "--dry-run"),
    ("suppressions", "list", "--recipient", JO), ("rescue", "--recipient", JO),
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_question_with_keys_leaves_a_store_in_clear_to_those_without(
    question: tuple[str, ...], run: Run, document: Document
) -> None:
    run("suppressions", "add", JO, *STORE)
    new_key(run, "k1")
    run(*question, *STORE, *KEYS)
    assert document("plan", "--to", JO, *STORE)[0]["verdict"] == "suppressed"
    assert b"#veil" not in kept()


def test_an_entry_that_an_erasure_veils_is_not_looked_for_without_keys(run: Run) -> None:
    run("suppressions", "add", JO, *STORE)
    new_key(run, "k1")
    run("erase", JO, *STORE, *KEYS)
    assert "no-keys" in run("plan", "--to", JO, *STORE, status=2).stderr


@pytest.mark.usefixtures("past")
def test_a_file_without_the_newest_key_is_refused_and_changes_nothing(run: Run, lines: Lines) -> None:
    other = ("--keys", "other.keys")
    new_key(run, "k7", "other.keys")
    batch = lines({**GONE, "recipient": "ed@x.example"})
    for words in (*QUESTIONS, ("observe", "--batch", batch), ("suppressions", "add", JO)):
        said = run(*words, *STORE, *other, status=2).stderr
        assert said.startswith(
            "mailverdict: wrong-keys: this store holds names under key `k1`, which `other.keys` does not hold; "
        )
    assert b"veiled.k7." not in kept()


@pytest.mark.usefixtures("past")
def test_another_secret_under_the_same_id_is_another_key(run: Run) -> None:
    new_key(run, "k1", "other.keys")
    said = run("plan", "--to", JO, *STORE, "--keys", "other.keys", status=2).stderr
    assert "in `other.keys` key `k1` has another secret" in said


@pytest.mark.usefixtures("past")
def test_an_old_key_may_be_taken_out_once_something_is_kept_under_the_newer(run: Run, document: Document) -> None:
    newer = new_key(run, "k2")
    Path("new.keys").write_text(newer)
    Path("new.keys").chmod(0o600)
    run("plan", "--to", JO, *STORE, *KEYS)  # a question: k1 is still the newest
    assert "wrong-keys" in run("plan", "--to", JO, *STORE, "--keys", "new.keys", status=2).stderr
    run("suppressions", "add", "ed@x.example", *STORE, *KEYS)
    asked = document("plan", "--to", "ed@x.example", "--to", JO, *STORE, "--keys", "new.keys")
    assert [each["verdict"] for each in asked] == ["suppressed", "send"]


@pytest.mark.parametrize("taken_out", [False, True], ids=["there", "taken out"])
def test_a_mark_from_before_it_named_keys_goes_on_working(taken_out: bool, run: Run, document: Document) -> None:
    new_key(run, "k1")
    run("suppressions", "add", JO, *STORE, *KEYS)
    with closing(sqlite3.connect("mail.db")) as link, link:
        link.execute("DELETE FROM learned WHERE domain = '#veil-key'")
    if taken_out:
        Path("mail.keys").unlink()
    new_key(run, "k2")
    run("suppressions", "add", "ed@x.example", *STORE, *KEYS)
    assert document("plan", "--to", "ed@x.example", *STORE, *KEYS)[0]["verdict"] == "suppressed"
    assert (b"#veil-key" in kept()) is not taken_out
    assert "no-keys" in run("plan", "--to", JO, *STORE, status=2).stderr
