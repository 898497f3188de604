"""The store in memory keeps the contract."""

import pytest

from adapters.stores import open_store
from policy.testing.store_contract import MakeStore, StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        return lambda: open_store("memory:")
