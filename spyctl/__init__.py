"""SPY and ES market data onto NATS JetStream: every event, once, in order."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spyctl.api import NATSBus as NATSBus
    from spyctl.api import ReplayPublisher as ReplayPublisher
    from spyctl.api import ReplayStats as ReplayStats
    from spyctl.api import StreamIngestor as StreamIngestor
    from spyctl.live.strike_manager import StrikeManager as StrikeManager
    from spyctl.replay.source import DBNIngestor as DBNIngestor
    from spyctl.replay.tapes.tape import Tape as Tape

__version__ = "0.1.0"

# Importing the package costs nothing; what is asked for is imported then.
_WHERE = {
    "DBNIngestor": "spyctl.replay.source",
    "NATSBus": "spyctl.api",
    "ReplayPublisher": "spyctl.api",
    "ReplayStats": "spyctl.api",
    "StreamIngestor": "spyctl.api",
    "StrikeManager": "spyctl.live.strike_manager",
    "Tape": "spyctl.replay.tapes.tape",
}
__all__ = [
    "DBNIngestor",
    "NATSBus",
    "ReplayPublisher",
    "ReplayStats",
    "StreamIngestor",
    "StrikeManager",
    "Tape",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'spyctl' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
