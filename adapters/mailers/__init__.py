"""Mailers: each hands a message to something that sends it, and tells what each side said, as `policy.ports.Mailer`."""

import difflib
from collections.abc import Callable
from importlib.metadata import entry_points

from policy.ports import Mailer, MailerSetup
from policy.text import clean

GROUP = "mailverdict.mailers"


def load(name: str) -> Callable[..., Mailer]:
    """Return what makes the mailer of this name: its class, whose docstring tells the options.

    Mailers of other packages are found too: they declare an entry point in the group `mailverdict.mailers`.

    Raises:
        MailerSetup: no installed package has one of that name, or it cannot be imported.
    """
    known = {each.name: each for each in entry_points(group=GROUP)}
    if name not in known:
        listed = ", ".join(f"`{each}`" for each in sorted(known)) or "none"
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise MailerSetup(f"no mailer is called `{clean(name, limit=80)}`; known: {listed}{hint}")
    try:
        made: Callable[..., Mailer] = known[name].load()
    except (ImportError, AttributeError) as error:
        raise MailerSetup(f"mailer `{name}` cannot be loaded: {clean(str(error), limit=200)}") from error
    return made
