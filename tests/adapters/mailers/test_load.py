"""Mailers are found by name, those of other packages too, and a wrong name is told with the right ones."""

from pathlib import Path

import pytest

from adapters.mailers import load
from adapters.mailers.skeleton import SkeletonMailer
from policy.ports import MailerSetup

ENTRY_POINTS = """\
[mailverdict.mailers]
carrier-pigeon = adapters.mailers.skeleton:SkeletonMailer
broken = adapters.mailers.skeleton:NoSuchMailer
missing = no_such_package_at_all:Mailer
"""


@pytest.fixture(autouse=True)
def another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts an installed package with mailers of its own on the path."""
    described = tmp_path / "pigeons-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_mailer_of_another_package_is_found() -> None:
    assert load("carrier-pigeon") is SkeletonMailer


def test_an_unknown_name_is_told_with_the_known_ones_and_the_near_miss() -> None:
    with pytest.raises(
        MailerSetup, match=r"`carier-pigeon`; known: .*`carrier-pigeon`.*; did you mean `carrier-pigeon`"
    ):
        load("carier-pigeon")


@pytest.mark.parametrize("name", ["broken", "missing"])
def test_a_mailer_that_cannot_be_imported_is_a_matter_of_setup(name: str) -> None:
    with pytest.raises(MailerSetup, match=f"mailer `{name}` cannot be loaded"):
        load(name)
