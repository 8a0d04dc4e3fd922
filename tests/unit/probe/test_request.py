"""What is to be checked."""

from pathlib import Path

from spyctl.probe.request import Findings
from tests.support.probing import probe_request


def test_a_request_does_not_show_its_keys(tmp_path: Path) -> None:
    request = probe_request(tmp_path, api_key="s3cret-1", databento_key="s3cret-2")
    assert "s3cret" not in repr(request)


def test_findings_begin_empty_each_time() -> None:
    Findings().contracts.append("O:SPY")
    assert Findings().contracts == []
