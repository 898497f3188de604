"""The mailers of `mailverdict send`: one for the server that is named, one for each route to a host of its own."""

import os
import re
from datetime import timedelta

import click
from attrs import evolve

from adapters.cli.common import USAGE, fail, safe
from adapters.mailers.smtplib import SmtplibMailer, Tls
from policy import Address, MailerSetup, Policy

PASSWORD_VARIABLE = "MAILVERDICT_SMTP_PASSWORD"  # noqa: S105 - the variable's name
_HOP = re.compile(r"smtp://\[?((?<=\[)[^\]]+|[^:\]]+)\]?(?::([0-9]+))?")
_SMTP_PORT = 25  # where a route names none


def mailer_of(server: str, user: str | None, timeout: int, tls: Tls) -> SmtplibMailer:
    """Return the mailer to `server`, HOST:PORT; ends the command when it cannot be one."""
    host, colon, port = server.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5:
        fail(USAGE, f"--smtp `{safe(server, 80)}` must be HOST:PORT, such as smtp.example.org:587")
    password = None
    if user is not None:
        password = os.environ.get(PASSWORD_VARIABLE) or _asked_password()
    wait = timedelta(seconds=timeout)
    try:
        return SmtplibMailer(
            host=host.strip("[]"),
            port=int(port),
            tls=tls,
            user=user,
            password=password,
            timeout=wait,
            dot_timeout=2 * wait,
        )
    except MailerSetup as error:
        fail(USAGE, str(error))


def by_route(policy: Policy, given: SmtplibMailer, recipients: tuple[Address, ...]) -> dict[str, SmtplibMailer]:
    """Return a mailer for each route: the server that is named stands for the MX hosts.

    A route to a host of its own goes there, on the same terms but without the password, which is for that one server. A
    route by LMTP, which this mailer does not speak, has none.
    """
    found: dict[str, SmtplibMailer] = {}
    for place in dict.fromkeys(policy.place(each) for each in recipients):
        for name in sorted({policy.route(None), policy.route(None, place), *policy.routes}):
            try:
                hop = policy.next_hop(name, place)
            except LookupError:
                continue  # a route of other domains
            there = given if hop == "mx" else _to(hop, given)
            if there is not None and found.setdefault(name, there) != there:
                fail(USAGE, f"route `{name}` goes to two hosts for these recipients; send to them one by one")
    return found


def called(mailer: SmtplibMailer) -> str:
    """Return HOST:PORT of a mailer."""
    return f"[{mailer.host}]:{mailer.port}" if ":" in mailer.host else f"{mailer.host}:{mailer.port}"


def _to(hop: str, given: SmtplibMailer) -> SmtplibMailer | None:
    parts = _HOP.fullmatch(hop)
    if parts is None:
        return None
    host = re.sub("^ipv6:", "", parts[1], flags=re.IGNORECASE)
    return evolve(given, host=host, port=int(parts[2] or _SMTP_PORT), user=None, password=None)


def _asked_password() -> str:
    try:
        return str(click.prompt("Password", hide_input=True, err=True))
    except click.Abort:
        fail(USAGE, f"no password was given; {PASSWORD_VARIABLE} may hold it")
