"""Forward paths out of 251 and 551: read by the grammar of RFC 5321, and never trusted.

The server of a reply may be anyone (RFC 5321 7.4): a path that it names is a note for a person. It is never an
address to send to, a route, a header or a key until someone approves it.
"""

import re
from enum import Enum

from attrs import frozen

from policy.address import Address, parse_address
from policy.reply import Reply
from policy.text import SafeText, clean

PATH_LIMIT = 256  # octets with the brackets, RFC 5321 4.5.3.1.3

# Path = "<" [ A-d-l ":" ] Mailbox ">"; the source route is accepted and ignored (RFC 5321 4.1.1.3, appendix F.2).
_BRACKETED = re.compile(r'<(?:@[^\s<>:"]{1,200}:)?((?:"(?:[^"\\<>]|\\.){0,64}"|[^\s<>"@:]{1,64})@[^\s<>@]{1,255})>')


@frozen
class UntrustedPath:
    """An address that a stranger's reply names. It has no methods that lead to a send; `quoted` is for people."""

    quoted: SafeText

    def __str__(self) -> str:
        return self.quoted


def domain_of(path: UntrustedPath) -> str:
    """The domain of a path, to compare it with, and for nothing else."""
    return path.quoted.rpartition("@")[2]


class ForwardState(Enum):
    """What a person has said of a note."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


def forward_path(reply: Reply, recipient: Address | None, *, smtputf8: bool = False) -> UntrustedPath | None:
    """Return the one forward path that a 251 or 551 names.

    Args:
        recipient: the address that was asked for; servers often repeat it, it is not a forward path.
        smtputf8: the transaction used SMTPUTF8; without it a mailbox that is not ASCII is illegal here (RFC 6531
            3.7.4.1) and dropped.

    Returns:
        None for other codes, when there is no valid path, or when there are several (which one is meant?).

    >>> reply = Reply(251, (clean("User not local; will forward to <jo@new.example>"),))
    >>> forward_path(reply, None)
    UntrustedPath(quoted='jo@new.example')
    """
    if reply.code not in (251, 551):
        return None
    named: dict[str, Address] = {}
    for found in _BRACKETED.finditer(reply.text):
        if len(found[0].encode()) > PATH_LIMIT or not (smtputf8 or found[1].isascii()):
            continue
        try:
            address = parse_address(found[1], strict=True)
        except ValueError:
            continue
        if clean(str(address), limit=PATH_LIMIT) != str(address):
            continue  # cleaned, it would name another mailbox
        if recipient is None or address.key != recipient.key:
            named[address.key] = address
    if len(named) != 1:
        return None
    return UntrustedPath(clean(str(*named.values()), limit=PATH_LIMIT))
