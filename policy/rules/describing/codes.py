"""What every code of a mistake means and how it is mended: the one table under `check --codes`, SARIF and the guide.

A code is stable: scripts and baselines name it. So a new mistake gets a new line here, and none changes its sense.
"""

from collections.abc import Iterator, Mapping

from attrs import frozen

GUIDE = "docs/checking.md"


@frozen
class Meaning:
    """What a code says of a file, and what to do about it; each a sentence or two of Markdown."""

    says: str
    mend: str


BY_KIND: Mapping[str, Mapping[str, Meaning]] = {
    "What is no file of ours": {
        "empty-file": Meaning("The file says nothing.", "Begin with `mailverdict: 1`, or leave the file out."),
        "too-large": Meaning("The file is larger than any rules file has to be.", "Split it, or look what it is."),
        "not-utf-8": Meaning("The text is not UTF-8.", "Save it as UTF-8; what stands there may be Latin-1."),
        "not-yaml": Meaning(
            "The text is not YAML; often a bracket, a quote or an indentation is missing.",
            "Look at the place named and just before it.",
        ),
        "too-deep": Meaning("Lists and maps are nested deeper than any rule is.", "Write it flatter."),
        "second-document": Meaning("A `---` begins a second document.", "Put it into a file of its own."),
        "anchor": Meaning("`&name` and `*name` are not allowed: they hide what a rule says.", "Write the value out."),
        "merge-key": Meaning("`<<` is not allowed: it hides what a rule says.", "Write the values out."),
        "tag": Meaning(
            "A tag such as `!!str` is not allowed.", "Leave it out; put a text that looks like a number in quotes."
        ),
        "bad-key": Meaning("A list or a map stands where a key belongs.", "Give a plain word as the key."),
        "duplicate-key": Meaning(
            "A key, or a domain written in two ways, stands twice: one of the two would be lost.",
            "Make one of the two.",
        ),
    },
    "Keys and values": {
        "unknown-key": Meaning("No such key is known here.", "Spell it as suggested; [all keys](rules-reference.md)."),
        "missing-key": Meaning("A key that is needed here is not there.", "Add it."),
        "bad-type": Meaning(
            "A list, a map or a single value stands where another belongs.", "Write what is asked for."
        ),
        "unknown-value": Meaning("The value is not one of the words known here.", "Take one of the words named."),
        "empty-list": Meaning(
            "A list of nothing: a condition with it could never hold.", "Fill it, or leave the key out."
        ),
        "bad-name": Meaning("A name has other than small letters, digits and single hyphens.", "Write it `like-this`."),
        "bad-flag": Meaning("Only `true` and `false`, without quotes, say yes and no.", "Write one of them."),
        "bad-number": Meaning(
            "The number is not whole, out of its range, in quotes, or `min` is over `max`.",
            "Write a number of the range named.",
        ),
        "bad-duration": Meaning("The value is no time span.", "Write `90s`, `5m`, `4h`, `4d`, `2w` or `1h30m`."),
        "bad-day": Meaning("The value is no day of the calendar.", "Write `2027-01-31`."),
        "bad-percent": Meaning("The value is no share below 100 %.", "Write `0%` to `99%`."),
        "bad-domain": Meaning("The value is no domain.", "Write `example.org`, `*.example.org` or `=example.org`."),
        "bad-code": Meaning("The value is no reply code.", 'Write `"550"`, `"550-559"`, or `5yz` for a class.'),
        "bad-enhanced-status": Meaning("The value is no enhanced status.", 'Write `"5.1.1"`, `"5.1"` or `"X.1.1"`.'),
        "unquoted-code": Meaning(
            "A code without quotes: YAML readers make other numbers of some (`0550` becomes 360, `5.10` becomes 5.1).",
            "Put it in quotes.",
        ),
        "bad-pattern": Meaning(
            "The pattern is no RE2: mostly a look-around or a back reference, which take unbounded time.",
            "Say it without, or as several `text` values and `not`.",
        ),
        "bad-tag": Meaning("The value is no tag.", "Write `name=value`."),
        "bad-route": Meaning("The value says no way to send.", "Write `mx` or `smtp://relay.example.net:587`."),
        "bad-schedule": Meaning(
            "The schedule contradicts itself: both or none of `first` and `waits`, or a `longest` under the last wait.",
            "Say one of `first` and `waits`, and a `longest` that is at least the last wait.",
        ),
        "bad-after": Meaning(
            "`after` does not say how many decisions in how long.",
            "Write `20 in 15m`, or `10 of 500 in 1d` for a share of the newest 500, with 2 to 128 decisions.",
        ),
        "bad-suspend": Meaning(
            "The suspension's `longest` is shorter than its `for`.",
            "Let `longest` be at least as long as `for`.",
        ),
        "bad-rate": Meaning("A rate does not say how many in how long.", "Write `100/1h`, or `half` in a throttle."),
        "bad-address": Meaning(
            "What is never to be suppressed is no address and no domain.",
            "Write `jo@example.org`, `example.org` with all below it, `=example.org` or `*.example.org`.",
        ),
        "bad-strikes": Meaning(
            "So many strikes, this far `apart`, do not fit into `within`: nothing would ever be suppressed.",
            "Ask for fewer strikes, closer together, or within a longer time.",
        ),
        "bad-path": Meaning("`unset` names no path of a key in a rule.", "Write `then.alert` or `when.command`."),
    },
    "What rules refer to": {
        "unknown-schedule": Meaning("No schedule of that name is known here.", "Spell it as suggested, or define it."),
        "unknown-limit": Meaning("No limit of that name is known here.", "Spell it as suggested, or define it."),
        "unknown-route": Meaning("No route of that name is known here.", "Spell it as suggested, or define it."),
        "unknown-provider": Meaning(
            "No provider of that name is known.",
            "Spell it as suggested; a new one needs `mx` or `domains` in `providers`.",
        ),
        "unknown-rule": Meaning(
            "No lower file has a rule of that id.",
            "Spell it as suggested; `mailverdict rules show` has all.",
        ),
        "duplicate-id": Meaning("Two rules of one file have one id.", "Give one of them another id."),
        "duplicate-name": Meaning("A name means another provider already.", "Leave it to one of the two."),
        "own-rule": Meaning("`override` names a rule of its own file.", "Change that rule where it stands."),
        "last-rule": Meaning(
            "The very last rule decides what no other does, and stays as it is.",
            "Write a rule of your own for what it should not decide.",
        ),
        "nothing-to-unset": Meaning("`unset` takes away what the rule does not have.", "Leave that path out."),
        "needs-suppress": Meaning(
            "`hard-bounce` suppresses the address, and the rule does not say how.",
            "Add `suppress: {}`, or say `bounce`.",
        ),
        "misplaced-modifier": Meaning(
            "A modifier stands beside an action that it does not go with.",
            "Leave it out, or take the action named.",
        ),
    },
    "Rules that do not do what they seem to": {
        "unreachable-rule": Meaning(
            "Rules before it in the same file decide all that it asks for. This is proved for every possible reply; "
            "the example is one that the rule wanted.",
            "Move it up, ask for more in the rules that hide it, or take it out.",
        ),
        "never-holds": Meaning(
            "Its conditions exclude each other, so no reply at all is decided by it.",
            "Take a condition out: of several values of one key one is enough, of several keys all must hold.",
        ),
        "never-found": Meaning(
            "The text or pattern cannot occur in what rules see: one line, small letters, no mail addresses.",
            "Take words that stand beside the address.",
        ),
        "code-in-text": Meaning(
            "The text or pattern asks for a reply code or an enhanced status, and both are taken off before rules see "
            "the text: it can hardly be found.",
            "Ask with `code` or `enhanced`; where a number is meant that does stand in the words, an example shows it.",
        ),
        "always-found": Meaning("The pattern is found in every text.", "Leave it out, or make it say more."),
        "expired-rule": Meaning("The rule has not held since the day named.", "Take it out, or give it more time."),
        "idle-override": Meaning(
            "An override edits a rule that is not in force there: it is disabled, replaced or left out.",
            "Take the override out, or what takes the rule out.",
        ),
        "takes-away": Meaning(
            "A rule for one scope, or for some mail only, has the id of a lower file's rule, which is so taken away "
            "from everyone.",
            "Give it another id, or use `override` in the scope of a domain or provider.",
        ),
        "provider-never-matches": Meaning(
            "All hosts and domains of the provider belong to others, so it never matches.",
            "Take the names away from the others, or leave the provider out.",
        ),
        "spared-twice": Meaning(
            "Another entry of `never_suppress`, the same or a wider one, spares the address or the domain already.",
            "Leave one of the two out.",
        ),
        "endless-schedule": Meaning(
            "The schedule tries over a thousand times.",
            "Let it grow by `factor`, or bound `tries`.",
        ),
        "never-retries": Meaning(
            "The schedule gives up before its first wait is over.",
            "Make `give_up` longer, the wait shorter, or say `bounce`.",
        ),
    },
    "Rules against a law": {
        "law-2-yes": Meaning(
            "A 2yz is a yes; a rule cannot refuse, retry or suppress over it.",
            "Ask for a `code` of 4yz or 5yz, or for a `category`.",
        ),
        "law-2-no": Meaning(
            "Only a yes is accepted; a rule cannot call a refusal delivered.",
            "Ask for `category: accepted`, or a `code` of 2yz.",
        ),
        "law-2-forward": Meaning(
            "A 251 to RCPT names a new address, which is always noted.",
            "Say `accept-and-note-forward`, or leave 251 out.",
        ),
        "law-2-data": Meaning(
            "A 2yz to DATA, where 354 belongs, means that replies are out of step: whose yes it is nobody knows.",
            "Say `hold`, or leave DATA out.",
        ),
        "law-3-at-first-sight": Meaning(
            "A failure that may pass cannot suppress at first sight.",
            "Ask for a `code` of 5yz, or for several `strikes`.",
        ),
        "law-4-fault": Meaning(
            "An address is suppressed only for what is its own fault, or its domain's.",
            "Ask for a `category` and `fault: recipient`, or say `despite: no-recipient-fault`.",
        ),
        "law-4-place": Meaning(
            "An address is suppressed only where a reply speaks of one recipient.",
            "Ask for `command: RCPT`.",
        ),
        "law-19-evasion": Meaning(
            "Another route must not get around a refusal on purpose: of reputation, rate, greylist, authentication, "
            "content.",
            "Leave these categories out, or say `despite: refused-on-purpose`.",
        ),
    },
    "Examples and cases": {
        "bad-example": Meaning(
            "The example says what no attempt can be.",
            "Write a reply as one text, or a map with `reply` or `failure`.",
        ),
        "broken-example": Meaning(
            "Another rule decides the example.",
            "Move the rule up, ask for less in it, or mend the example.",
        ),
        "broken-counterexample": Meaning(
            "The rule decides what it says it does not.",
            "Ask for more in the rule, or mend the example.",
        ),
        "bad-case": Meaning(
            "The case says what no attempt can be, or its `rules` cannot be used.",
            "Write `given` with the keys of [an attempt in JSON](json.md).",
        ),
        "wrong-decision": Meaning(
            "The case is decided otherwise than it wants.",
            "Look with `mailverdict decide` which rule decides and why; mend the rules, or the case.",
        ),
    },
}

CODES: Mapping[str, Meaning] = {code: meaning for codes in BY_KIND.values() for code, meaning in codes.items()}

_UNTOLD = Meaning("The message says what is wrong.", "See there.")


def meaning_of(code: str) -> Meaning:
    """What a code means; of one that is not in the table, that its message says so."""
    return CODES.get(code, _UNTOLD)


def codes_section() -> str:
    """Return the part of the guide that lists every code, as Markdown; each code is a heading to link to."""
    return "\n".join(["## Every code", "", *_lines()])


def _lines() -> Iterator[str]:
    for kind, codes in BY_KIND.items():
        yield from (f"### {kind}", "")
        for code, meaning in codes.items():
            yield from (f"#### {code}", "", f"{meaning.says} {meaning.mend}", "")
