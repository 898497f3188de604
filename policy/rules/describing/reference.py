"""The written reference of the rules language: every map and every key, from the tables that read them.

What a key is for and what it takes comes from its `Key`; an example is made up where the value is one of a closed set
of words, and taken from `_EXAMPLES` otherwise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from policy.rules.conditions import WHEN
from policy.rules.describing.schema import compact, shared_in
from policy.rules.layer_reader import BLOCK, DEFAULTS, FILE, PROVIDER
from policy.rules.overrides import OVERRIDE
from policy.rules.reading import Key, Keys, string
from policy.rules.restraints import ALERT, SUSPEND, THROTTLE
from policy.rules.rule_reader import RULE, example
from policy.rules.terms import (
    LASTING,
    LIMIT,
    ROUTE,
    SCHEDULE,
    STREAM,
    SUPPRESS,
    SUPPRESSION,
    THEN,
)


@frozen
class Section:
    """A map of the language.

    Args:
        name: as in the schema's `$defs`.
        place: where it stands, as a path; says: what it is, in a sentence.
    """

    name: str
    place: str
    says: str
    keys: Keys


def _only(keys: Keys, without: Keys) -> Keys:
    return {name: key for name, key in keys.items() if name not in without}


_EXAMPLE_KEYS = {
    name: Key(string, said["description"]) for name, said in example.schema["anyOf"][1]["properties"].items()
}

SECTIONS = (
    Section("file", "the whole file", "A file is a block that holds for everyone, and these.", _only(FILE, BLOCK)),
    Section(
        "block",
        "the file itself, `domains.NAME`, `providers.NAME`",
        "What holds in one scope: for everyone, for a domain and all below it, or for a provider's recipients.",
        BLOCK,
    ),
    Section(
        "provider",
        "`providers.NAME`",
        "A block, and who the provider is. What a lower file says of it stays where this one is silent.",
        _only(PROVIDER, BLOCK),
    ),
    Section("rule", "an item of `rules`", "When this holds, then do that.", RULE),
    Section("when", "`when` of a rule", "All must hold. Of a list, one value is enough. No `when`: always.", WHEN),
    Section("then", "`then` of a rule", "An action and what goes with it.", THEN),
    Section("suppress", "`suppress` in `then`", "Whom to leave alone, how surely, and for how long.", SUPPRESS),
    Section("suspend", "`suspend` in `then`", "How long nothing is sent there.", SUSPEND),
    Section("throttle", "`throttle` in `then`", "How slowly mail goes there, and for how long.", THROTTLE),
    Section("example", "an item of `examples`", "A reply as one text, or this map of an attempt.", _EXAMPLE_KEYS),
    Section("override", "an item of `override`", "One rule of a lower file, changed where it stands.", OVERRIDE),
    Section("defaults", "`defaults`", "What a rule gets that does not say.", DEFAULTS),
    Section("schedule", "`schedules.NAME`", "When to try again: `first` or `waits`, and an end.", SCHEDULE),
    Section("route", "`routes.NAME`", "A way to send.", ROUTE),
    Section("alert", "`alert` in `then`", "Whom to tell, where not each time at once.", ALERT),
    Section("limit", "`limits.NAME`", "How fast mail goes, of our own accord.", LIMIT),
    Section("stream", "`streams.NAME`", "A kind of mail.", STREAM),
    Section("suppression", "`suppression`", "How long an address is left alone.", SUPPRESSION),
    Section("strength", "`suppression.weak`, `suppression.strong`", "How long one strength lasts.", LASTING),
)

_EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "file": {
        "domains": "{example.org: {defaults: {schedule: greylist}}}",
        "providers": "{google: {disable: rate-limited}}",
        "never_suppress": "[jo@example.org, example.net]",
    },
    "block": {
        "rules": "[{id: full-relay, when: {text: queue is full}, then: {action: retry}}]",
        "override": "[{id: greylisted, set: {then: {alert: ops}}}]",
        "disable": "[mailbox-disabled]",
        "defaults": "{schedule: greylist}",
        "schedules": "{quick: {waits: [1m, 5m, 15m], give_up: 1d}}",
        "routes": '{relay: {to: "smtp://relay.example.net:587"}}',
        "limits": "{gentle: {rate: 100/1h}}",
        "streams": "{reminder: {give_up: 6h}}",
        "suppression": "{weak: {for: 3d}}",
    },
    "provider": {"mx": "[mx.example.net]", "domains": "[example.net, example.org]", "names": "[example-mail]"},
    "rule": {
        "id": "full-relay",
        "when": '{code: "452", text: queue is full}',
        "then": "{action: retry, schedule: greylist}",
        "examples": '["452 4.3.1 queue is full"]',
        "counterexamples": '["452 4.2.2 mailbox is full"]',
        "note": "Their queue is full every Monday.",
        "owner": "mail team",
        "mode": "observe",
        "expires": "2027-01-31",
    },
    "when": {
        "code": '["421", "450-459", 5yz]',
        "enhanced": '["5.1.1", "5.7", "X.2.2"]',
        "text": "[queue is full, try later]",
        "pattern": "'limit of [0-9]+ messages'",
        "domain": '[example.org, "*.example.net", "=example.com"]',
        "sender_domain": "news.example.org",
        "mx": "mx.example.org",
        "provider": "[google, microsoft]",
        "attempt": "{min: 3}",
        "age": "{min: 4h, max: 1d}",
        "stream": "bulk",
        "tag": "campaign=spring",
        "not": "{stream: otp}",
    },
    "then": {
        "action": "retry",
        "schedule": "greylist",
        "route": "direct",
        "suppress": "{strength: weak}",
        "suspend": "{for: 1h}",
        "throttle": "{rate: half, for: 4h}",
        "alert": "ops",
        "remedy": "Ask the partner to take us off the list.",
    },
    "suppress": {"strikes": "3", "within": "14d", "apart": "2d", "for": "30d"},
    "suspend": {"for": "1h", "longest": "4h", "after": "20 in 15m"},
    "alert": {"to": "list-owner", "after": "11 of 500 in 1d", "once": "7d", "scope": "stream"},
    "throttle": {"rate": "half", "for": "4h", "after": "20 in 15m"},
    "example": {
        "reply": '"550 5.1.1 User unknown"',
        "failure": "timeout",
        "command": "RCPT",
        "recipient": "jo@example.org",
        "sender": "news@example.com",
        "recipients": "2",
        "mx": "mx.example.org",
        "provider": "google",
        "attempt": "3",
        "first_attempt_at": '"2027-01-31T09:00:00Z"',
        "now": '"2027-01-31T12:00:00Z"',
        "stream": "bulk",
        "rcpt_reply": '"251 User not local; will forward to <jo@new.example>"',
        "custody": "ours",
        "event": "complaint",
        "deliver_by": '"2027-01-31T18:00:00Z"',
        "tls": "authenticated",
        "backup_mx": "true",
    },
    "override": {"id": "blocked", "set": "{then: {alert: digest}}", "unset": "[then.alert]"},
    "defaults": {"schedule": "greylist", "route": "direct", "limit": "gentle"},
    "schedule": {
        "first": "5m",
        "waits": "[1m, 5m, 15m, 1h]",
        "factor": "2",
        "longest": "4h",
        "spread": "20%",
        "give_up": "4d",
        "tries": "5",
        "hint": "4h",
    },
    "route": {"to": '"smtp://relay.example.net:587"'},
    "limit": {"rate": "100/1h"},
    "stream": {"give_up": "6h"},
    "suppression": {"weak": "{for: 7d, again_apart: 3d, again: 180d}", "strong": "{for: 180d}"},
    "strength": {"for": "7d", "again_apart": "3d", "again": "180d"},
}

_HEAD = """\
# Every key of the rules language

Made by `mailverdict schema --format text` of the tables that read rules files. The [guide](rules.md) says how it all
works together; `mailverdict schema` prints the same as a JSON Schema for editors.

**Needed** marks keys that must be there. Where it says "or a list", one value that holds is enough.
"""


def reference_page() -> str:
    """Return the reference, as Markdown."""
    return "\n".join([_HEAD, *(line for section in SECTIONS for line in _section_lines(section))])


def example_line(section: Section, name: str) -> str:
    """Return a line that shows a key in use.

    Raises:
        LookupError: when nobody wrote an example and none can be made up.
    """
    said = _EXAMPLES.get(section.name, {}).get(name) or _made_up(section.keys[name].kind.schema)
    if said is None:
        raise LookupError(f"key `{name}` of `{section.name}` has no example")
    return f"{name}: {said}"


def _made_up(schema: Mapping[str, Any]) -> str | None:
    """The first of a closed set of words; None when it is not one."""
    one = schema["anyOf"][0] if "anyOf" in schema else schema
    if one.get("type") == "boolean":
        return "true"
    return str(one["enum"][0]) if "enum" in one else None


def _section_lines(section: Section) -> Iterator[str]:
    yield f"## {section.name}\n"
    yield f"At: {section.place}. {section.says}\n"
    yield "| key | what it is for | value | example |"
    yield "|---|---|---|---|"
    for name, key in section.keys.items():
        needed = " **Needed.**" if key.required else ""
        cells = (f"`{name}`", key.says + needed, _value(section, key), f"`{example_line(section, name)}`")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _value(section: Section, key: Key) -> str:
    """What people call the value, and the sections that say more of it."""
    known = {each.name for each in SECTIONS} - {section.name}
    names = [name for name in dict.fromkeys(shared_in(compact(key.kind.schema))) if name in known]
    more = ", ".join(f"[{name}](#{name})" for name in names)
    return f"{key.kind.called} (see {more})" if more else key.kind.called
