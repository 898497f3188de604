"""A killed `observe` that is run again leaves what one clean run leaves; `benchmarks/killed.py` does it 200 times."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PLACE = Path(__file__).parents[3] / "benchmarks" / "killed.py"


@pytest.fixture(scope="module")
def killed() -> ModuleType:
    """The benchmark."""
    spec = importlib.util.spec_from_file_location("killed", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same_in_the_end(killed: ModuleType, tmp_path: Path, clean: str, store: str) -> bool:
    """Is what is left by kills and a last run what one clean run leaves?"""
    batch = killed.write(tmp_path / "attempts.jsonl", killed.attempts(900, seed=2))
    killed.finish(clean, batch)
    assert killed.kill(store, batch, times=4, seed=2) > 0
    killed.finish(store, batch)
    return bool(killed.seen(store) == killed.seen(clean))


def test_in_sqlite_nothing_is_lost_or_doubled(killed: ModuleType, tmp_path: Path) -> None:
    assert same_in_the_end(killed, tmp_path, f"sqlite:///{tmp_path}/clean.db", f"sqlite:///{tmp_path}/killed.db")


def test_in_postgresql_nothing_is_lost_or_doubled(killed: ModuleType, tmp_path: Path, cluster: Any) -> None:
    assert same_in_the_end(killed, tmp_path, cluster.fresh(), cluster.fresh())
