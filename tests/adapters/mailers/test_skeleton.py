"""The file to copy passes the contract without a network."""

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.mailers.skeleton import SkeletonMailer
from policy.attempt import Command
from policy.testing.mailer_contract import Arrived, MailerContract, Opened, Said, World

USUAL: dict[Command, Said] = {Command.CONNECT: "220 mx.example ESMTP", Command.DATA: "354 go ahead"}


class TestSkeletonMailer(MailerContract):
    @contextmanager
    def opened(self, world: World) -> Iterator[Opened]:
        arrived: list[Arrived] = []
        sender: list[str] = []
        accepted: list[str] = []

        def ask(command: Command, argument: str | bytes) -> str | bytes:
            said = world.replies.get(command, USUAL.get(command, "250 ok"))
            if command is Command.MAIL:
                sender.append(str(argument))
            if command is Command.RCPT:
                said = world.rcpt.get(str(argument), "250 2.1.5 ok")
                accepted.extend([str(argument)] * (said is not None and said[:1] in ("2", b"2")))
            if isinstance(argument, bytes):
                arrived.append(Arrived(sender=sender[-1], recipients=tuple(accepted), content=argument))
            if said is None:
                raise ConnectionResetError
            return said

        yield Opened(mailer=SkeletonMailer(ask), arrived=arrived)
