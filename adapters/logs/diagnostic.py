"""What a report quotes of the SMTP conversation: the reply in its `Diagnostic-Code`, and the command it answered.

MTAs wrap the reply in words of their own, in the field or in the text for people:

    host mx.example.net[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)          (Postfix)
    SMTP error from remote mail server after RCPT TO:<jo@example.net>: 550 5.1.1 no such user           (Exim)

The wrapping is taken off. Postfix also joins the lines of a reply by blanks, so that codes stand in mid-text; a reply
that began as one of several lines is cut at its own code again.
"""

import re

from attrs import frozen

from policy.attempt import Command
from policy.reply import EnhancedStatus, Reply, parse_reply
from policy.text import TEXT_LIMIT, SafeText, clean

_HEAD = 1_000  # characters in which the wrapping is looked for
_ENTRY_LIMIT = 4_000  # characters of one recipient's paragraph that are read

_WRAPPED = re.compile(
    r"(?:\bsaid: |\brefused to talk to me: "
    r"|\berror from remote mail(?:er| server) after [^\n]{1,400}?: (?:host \S{1,255} \[[^\]\s]{1,45}\]: )?)"
    r"(?=[2-5][0-9]{2}(?:[ -]|\Z))"
)
_IN_REPLY_TO = re.compile(r"\(in reply to ([A-Za-z ]{1,40}) command\)")
_AFTER = re.compile(
    r"error from remote mail(?:er| server) after (?:pipelined |sending )?"
    r"(initial connection|end of data|[A-Za-z]{4,8}(?: (?:TO|FROM)\b)?)"
)
_REFUSED_TO_TALK = re.compile(r"refused to talk to me:")
_COMMANDS = {
    "initial connection": Command.CONNECT,
    "helo": Command.EHLO,
    "ehlo": Command.EHLO,
    "lhlo": Command.EHLO,
    "starttls": Command.STARTTLS,
    "auth": Command.AUTH,
    "mail from": Command.MAIL,
    "rcpt to": Command.RCPT,
    "data": Command.DATA,
    "end of data": Command.DOT,
}
_CODE = re.compile(r"([2-5][0-9]{2})(?:([ -])|\Z)")
_STATUS = re.compile(r"#?([245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2}))(?![0-9.])[\s:;,-]*")
# A line of the text for people that starts with an address: `<jo@example.net>: host ...` or, alone, `  jo@example.net`.
_ENTRY = re.compile(
    r"""
    ^[\ \t]{0,8} <?([^\s<>@:]{1,64}@[^\s<>@:]{1,255})>?
    (?:[\ \t]+\(expanded\ from\ <[^<>\n]{1,320}>\))?
    (?: :[\ \t] | :?[\ \t\r]*$ )
    """,
    re.MULTILINE | re.VERBOSE,
)


@frozen
class Diagnostic:
    """One `Diagnostic-Code`.

    Args:
        reply: what the remote MTA said; None when no reply is quoted.
        status: an enhanced status at the start of a text that has no code; None when there is none.
        text: the words, without wrapping and status.
        command: what the wrapping says the reply answered; None when it does not.
    """

    reply: Reply | None
    status: EnhancedStatus | None
    text: SafeText
    command: Command | None


def read_diagnostic(value: str) -> Diagnostic:
    """Read the field's value, `type; text`. Only type `smtp`, or a wrapping that quotes a host, makes a reply.

    >>> str(read_diagnostic("smtp; 550-5.7.26 not authenticated, 550 5.7.26 see example.net").reply)
    '550 5.7.26 not authenticated, see example.net'
    >>> read_diagnostic("X-Postfix; unknown user").reply is None
    True
    """
    kind, semicolon, text = " ".join(value[: 4 * TEXT_LIMIT].split()).partition(";")
    text = text.strip() if semicolon else kind
    command = command_in(text)
    if wrapped := _WRAPPED.search(text[: _HEAD + 4]):
        text = text[wrapped.end() :]
    text = _IN_REPLY_TO.sub("", text).strip()
    quoted = wrapped is not None or (semicolon and kind.strip().lower() == "smtp")
    if quoted and _CODE.match(text):
        reply = parse_reply(_lines_again(text))
        return Diagnostic(reply, reply.stated, reply.text, command)
    if stated := _STATUS.match(text):
        return Diagnostic(None, EnhancedStatus.parse(stated[1]), clean(text[stated.end() :], limit=TEXT_LIMIT), command)
    return Diagnostic(None, None, clean(text, limit=TEXT_LIMIT), command)


def command_in(text: str) -> Command | None:
    """Return the command that Postfix's or Exim's words name; None when they name none that is known."""
    if _REFUSED_TO_TALK.search(text):
        return Command.CONNECT
    found = _IN_REPLY_TO.search(text) or _AFTER.search(text)
    return None if found is None else _COMMANDS.get(" ".join(found[1].lower().split()))


def entries(text: str) -> dict[str, str]:
    """Return what the text for people says of each recipient, by the address in lower case, on one line each."""
    starts = list(_ENTRY.finditer(text))
    ends = [*(each.start() for each in starts[1:]), len(text)]
    said: dict[str, str] = {}
    for start, end in zip(starts, ends, strict=False):  # without any entry there is one end too many
        words = text[start.end() : min(end, start.end() + _ENTRY_LIMIT)]
        said.setdefault(start[1].lower(), " ".join(words.split()))
    return said


def _lines_again(text: str) -> str:
    """Break a reply of several lines, joined by blanks, before its own code; one of a single line stays as it is."""
    found = _CODE.match(text)
    if found is None or found[2] != "-":
        return text
    lines = re.split(rf" (?={found[1]}[ -])", text)
    last = next((number for number, line in enumerate(lines) if line[3:4] == " "), len(lines) - 1)
    return "\n".join([*lines[:last], " ".join(lines[last:])])
