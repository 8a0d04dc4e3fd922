"""Requests for the checks of ``probe``, with nothing to reach unless it is named."""

from pathlib import Path
from typing import Any

from spyctl.bus.target import Target
from spyctl.probe.request import ProbeRequest


def probe_request(tmp_path: Path, **changes: Any) -> ProbeRequest:
    """Return a request without keys, of a data folder and a store that do not exist."""
    values: dict[str, Any] = {
        "api_key": None,
        "key_name": "POLYGON_API_KEY and MASSIVE_API_KEY",
        "key_hash": "",
        "target": Target(embedded=True, store=tmp_path / "store"),
        "data_dir": tmp_path / "dbn-data",
        "feed_url": "ws://127.0.0.1:1",
        "rest_url": "http://127.0.0.1:1",
    }
    return ProbeRequest(**(values | changes))
