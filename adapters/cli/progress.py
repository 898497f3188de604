"""A bar on standard error for who waits for an import, where somebody looks on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """Shows nothing. `read` is said now and then while the list is read, `kept` after each group that was kept."""

    def read(self) -> None:
        """Some more was read."""

    def kept(self, count: int, total: int) -> None:
        """`count` more of `total` entries were kept."""


class _Shown(Bar):
    def __init__(self, progress: "Progress", stream: BinaryIO, size: int | None) -> None:
        self._progress, self._stream = progress, stream
        self._reading = progress.add_task("reading", total=size)
        self._keeping = progress.add_task("keeping", total=None, visible=False)

    def read(self) -> None:
        self._progress.update(self._reading, completed=self._stream.tell())

    def kept(self, count: int, total: int) -> None:
        self.read()
        self._progress.update(self._keeping, advance=count, total=total, visible=True)


@contextmanager
def import_bar(path: str, stream: BinaryIO) -> Iterator[Bar]:
    """Show how far an import of the file is; nothing unless a person looks on and the file's length is known."""
    if path == "-" or not sys.stderr.isatty() or not Path(path).is_file():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield _Shown(progress, stream, Path(path).stat().st_size)
