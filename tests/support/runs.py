"""A run's record, of which a test states what matters to it."""

from typing import Any

from spyctl.bus.runs import RunRecord


def record(**values: Any) -> RunRecord:
    """Return the record of run ``aaaa``."""
    fields: dict[str, Any] = {
        "run_id": "aaaa", "command": "replay", "stream": "S", "subjects": ["a"], "inputs": [{"path": "x"}],
        "options": {"count": None}, "started_ns": 7,
    }  # fmt: skip
    return RunRecord(**fields | values)
