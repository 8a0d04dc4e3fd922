"""What is to be checked, and what the checks find out for each other."""

from dataclasses import dataclass, field
from pathlib import Path

from spyctl.bus.target import Target
from spyctl.dbn.gateway.connection import Address
from spyctl.dbn.historical_api import GATEWAY


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to check. ``api_key`` is ``None`` where the environment holds none; ``key_name`` is its variable."""

    api_key: str | None = field(repr=False)
    key_name: str
    key_hash: str
    target: Target
    data_dir: Path
    feed_url: str
    rest_url: str
    symbol: str = "SPY"
    prefix: str = ""
    databento_key: str | None = field(default=None, repr=False)
    gateway: str = GATEWAY
    es_gateway: Address = field(default_factory=Address)
    rest_only: bool = False
    force: bool = False


@dataclass(slots=True)
class Findings:
    """What earlier checks have found out for later ones; ``run_with_key`` is the run that uses the vendor's key."""

    market: str = ""
    contracts: list[str] = field(default_factory=list)
    run_with_key: str | None = None
    key_problem: str = ""
