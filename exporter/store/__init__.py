"""The ledger of record: what is remembered of every source, in one SQLite file."""

from exporter.store.errors import StateError
from exporter.store.state import State
from exporter.store.upkeep import Retention

__all__ = ["Retention", "State", "StateError"]
