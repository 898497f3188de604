"""A mailer to copy: small, complete, and without a network.

To add a mailer, copy this file, put what you send with in the place of `ask`, subclass
`policy.testing.mailer_contract.MailerContract` in a test, and declare the class in `pyproject.toml`:

    [project.entry-points."mailverdict.mailers"]
    yours = "your_package.your_module:YourMailer"
"""

from collections.abc import Callable

from attrs import frozen

from policy.address import Address
from policy.attempt import Answer, Command, Failure
from policy.reply import Reply, parse_reply
from policy.transaction import Envelope, Transaction

# What the other side says to (command, argument), code included; it raises OSError when the connection is lost.
# The argument is the host for CONNECT, an address for MAIL and RCPT, the message for DOT.
Ask = Callable[[Command, str | bytes], str | bytes]


@frozen
class SkeletonMailer:
    """Asks `ask` instead of a remote host.

    Args:
        ask: see `Ask`.
        host: what the remote host is called.
    """

    ask: Ask
    host: str = "mx.example"

    def deliver(self, envelope: Envelope) -> Transaction:
        """Try once to deliver `envelope`; what the other side does or fails to do is in the Transaction."""
        rcpt_replies: list[tuple[Address, Reply]] = []
        ended = self._ended(envelope, rcpt_replies)
        # Nobody was spoken to when the connection itself was lost; otherwise name the host.
        reached = None if ended and ended[0] is Command.CONNECT and isinstance(ended[1], Failure) else self.host
        return Transaction(envelope=envelope, mx=reached, rcpt_replies=tuple(rcpt_replies), ended=ended)

    def _ended(self, envelope: Envelope, rcpt_replies: list[tuple[Address, Reply]]) -> tuple[Command, Answer] | None:
        """Go through the transaction; return what ended it, None when every recipient was refused."""
        for command, argument in ((Command.CONNECT, self.host), (Command.MAIL, str(envelope.sender))):
            said = self._said(command, argument)
            if isinstance(said, Failure) or said.klass != 2:
                return command, said
        for recipient in envelope.recipients:
            said = self._said(Command.RCPT, str(recipient))
            if isinstance(said, Failure):
                return Command.RCPT, said
            # Each recipient has its own reply: keep it whole, whatever its code. A 251 and a 252 are a yes.
            rcpt_replies.append((recipient, said))
            if said.code in (None, 421):  # RFC 5321 3.8: the host goes; the others were not asked
                return Command.RCPT, said
        if not any(reply.klass == 2 for _, reply in rcpt_replies):
            return None
        said = self._said(Command.DATA, "")
        if isinstance(said, Failure) or said.code != 354:  # without a 354 the message must not be sent
            return Command.DATA, said
        return Command.DOT, self._said(Command.DOT, envelope.content)

    def _said(self, command: Command, argument: str | bytes) -> Answer:
        """Ask, and make a value of what comes back: a mailer never raises for what the other side does."""
        try:
            return parse_reply(self.ask(command, argument))
        except OSError as error:
            if command is Command.DOT:  # it may have arrived: that is not a failure like the others
                return Failure.LOST_AFTER_DOT
            return Failure.TIMEOUT if isinstance(error, TimeoutError) else Failure.RESET
