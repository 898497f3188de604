"""`mailverdict keys`, and the option `--keys`: the file of secrets that the veil of a store is made with."""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import click

from adapters.cli.common import UNAVAILABLE, USAGE, clock, fail, format_option, now_option, safe
from policy.history import Learned
from policy.ports import Store
from policy.text import clean
from policy.veil import Key, Veil

VARIABLE = "MAILVERDICT_KEYS"
SECRET = 32  # octets of a new one: as long as the digest (RFC 2104 3)
_MOST = 64_000  # octets of a file
F = TypeVar("F", bound=Callable[..., Any])
_MARK = "#veil"  # a domain that there is not: where the store says that it holds veiled names
_NEWEST = "#veil-key"  # another: the newest key under which something is kept, by the name that it makes of `_MARK`
_FILE = "mailverdict.keys"  # where the command's context keeps the path of the file


def _read(ctx: click.Context, _: click.Parameter, path: str | None) -> Veil | None:
    if path is None:
        return None
    ctx.meta[_FILE] = path
    return read_keys(path)


def keys_option_for(words: str) -> Callable[[F], F]:
    """The option `--keys`, given to the command as `veil`; what it is for, said by `words`."""
    return click.option(
        "--keys", "veil", metavar="FILE", envvar=VARIABLE, callback=_read, help=f"{words} [env: {VARIABLE}]"
    )


keys_option = keys_option_for("Keep veiled names in place of addresses, made with the keys of this file.")


def read_keys(path: str) -> Veil:
    """Return the veil of a file: lines of `id secret`, the first one current; ends the command when it has mistakes."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - the mode must be that of what is read
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MOST + 1)
    except (OSError, ValueError) as error:
        fail(UNAVAILABLE, f"keys `{safe(path)}` cannot be read: {getattr(error, 'strerror', None) or error}")
    if stat.S_ISREG(mode) and mode & 0o077:
        fail(USAGE, f"{path}: open-keys: others than its owner may read or change it; `chmod 600` it")
    if len(content) > _MOST:
        fail(USAGE, f"{path}: too-long: keys are over {_MOST} octets")
    try:
        return Veil(tuple(_keys(path, content.decode("utf-8"))))
    except ValueError as error:
        fail(USAGE, f"{path}: not-utf-8: keys are not UTF-8: {error}")


def _keys(path: str, content: str) -> Iterator[Key]:
    """Yield the keys; what is wrong with a line is told without what it holds."""
    seen: set[str] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{path}:{number}"
        if len(words) != 2:
            fail(USAGE, f"{where}: not-a-key: a line must be an id and a secret in base64, and has {len(words)} words")
        try:
            secret = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            fail(USAGE, f"{where}: bad-secret: the secret is not base64")
        try:
            key = Key(words[0], secret)
        except ValueError as error:
            fail(USAGE, f"{where}: bad-key: {error}")
        if key.id in seen:
            fail(USAGE, f"{where}: duplicate-key: key `{key.id}` is there twice")
        seen.add(key.id)
        yield key
    if not seen:
        fail(USAGE, f"{path}: no-key: there is no key in it; `mailverdict keys new` makes one")


def check_veil(store: Store, veil: Veil | None, now: datetime) -> None:
    """As `check_keys`, for what writes; with keys, mark the store as one that holds names of the newest of them.

    What is kept in clear from before is found as well, and needs no mark.
    """
    if veil is None:
        check_keys(store, None)
        return
    check_keys(store, veil)
    newest = veil.keys[0].name(_MARK)
    with store.unit() as unit:
        mark, known = unit.learned(_MARK), unit.learned(_NEWEST)
        if mark is None:
            unit.learn(Learned(domain=_MARK, provider=veil.keys[0].id, at=now))
        elif known is None and mark.provider not in _ids(veil):
            return  # from before there were names in marks: which keys are the right ones is not known
        if known is None or known.provider != newest:
            unit.learn(Learned(domain=_NEWEST, provider=newest, at=now))


def check_keys(store: Store, veil: Veil | None) -> None:
    """End the command when a store that holds veiled names is used without its keys: none would be found in it."""
    with store.unit() as unit:
        mark, known = unit.learned(_MARK), unit.learned(_NEWEST)
    if mark is None:
        return
    if veil is None:
        fail(
            USAGE,
            f"no-keys: this store holds veiled names, which are found only with the keys: name their file with `--keys`"
            f" or {VARIABLE}",
        )
    if known is None or known.provider in {each.name(_MARK) for each in veil.keys}:
        return
    context, id_ = click.get_current_context(silent=True), known.provider.split(".")[1]
    file = safe((context and context.meta.get(_FILE)) or "the file of keys")
    lack = f"in `{file}` key `{id_}` has another secret" if id_ in _ids(veil) else f"which `{file}` does not hold"
    fail(
        USAGE,
        f"wrong-keys: this store holds names under key `{id_}`, {lack}; name the right file with `--keys` or"
        f" {VARIABLE}, or put that key's line below those of this file",
    )


def is_marked(store: Store) -> bool:
    """Does the store hold veiled names?"""
    with store.unit() as unit:
        return unit.learned(_MARK) is not None


def _ids(veil: Veil) -> set[str]:
    return {each.id for each in veil.keys}


@click.group("keys", epilog="\b\nExample:\n  umask 077 && mailverdict keys new > mail.keys")
def keys_group() -> None:
    """Make keys, with which a store keeps veiled names in place of addresses."""


@keys_group.command(
    "new",
    epilog="""\b
Example:
  umask 077 && mailverdict keys new > mail.keys

\b
A newer key goes above the older ones, which must stay while anything kept under them counts.""",
)
@click.option("--id", "name", metavar="ID", help="What it is called: 1 to 16 of a-z, 0-9, `-`.  [default: the day]")
@now_option
@format_option
def new_key(name: str | None, now: datetime | None, form: str) -> None:
    """Print a line for a file of keys, with a fresh secret. Keep a copy: without it no name is ever found again."""
    secret = secrets.token_bytes(SECRET)
    try:
        key = Key(f"{clock(now):%Y%m%d}" if name is None else name, secret)
    except ValueError as error:
        fail(USAGE, f"bad-key: {error}")
    text = base64.b64encode(secret).decode("ascii")
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"id": clean(key.id), "secret": text})
    else:
        click.echo(f"{key.id} {text}")
