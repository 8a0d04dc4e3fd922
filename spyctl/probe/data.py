"""Checks of historical data: Databento's key, and the data folder."""

import asyncio
import time
from pathlib import Path

from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import FileQuery, no_such_data
from spyctl.dbn.file_info import days_of
from spyctl.dbn.historical_api import DatabentoApi
from spyctl.errors import SpyctlError
from spyctl.probe.request import ProbeRequest
from spyctl.probe.result import Advice, CheckResult, Verdict, masked
from spyctl.terminal.text import count


async def databento_check(request: ProbeRequest) -> CheckResult:
    """Check that Databento accepts the key."""
    key = request.databento_key
    if key is None:
        return CheckResult("databento", Verdict.SKIP, "DATABENTO_API_KEY is not set; spyctl fetch needs it")
    api, begun_s = DatabentoApi(key, request.gateway), time.monotonic()
    try:
        datasets = await asyncio.to_thread(api.datasets)
    except SpyctlError as error:
        return CheckResult("databento", Verdict.FAIL, error.message, error=error, code=error.exit_code)
    shown = masked("DATABENTO_API_KEY", key)
    text = f"{shown} accepted by {api.host}, {count('datasets', len(datasets))}"
    return CheckResult("databento", Verdict.PASS, text, time.monotonic() - begun_s)


def data_check(data_dir: Path) -> CheckResult:
    """Check that the data folder can be read."""
    try:
        catalog = scan(data_dir)
    except SpyctlError as error:
        return CheckResult("data", Verdict.WARN, error.message, error=error)
    if not catalog.files and not catalog.unreadable:
        nothing = no_such_data(catalog, FileQuery())
        return CheckResult("data", Verdict.WARN, nothing.message, error=nothing)
    text = f"{data_dir}: {count('dates', len(days_of(catalog.files)))}, {count('files', len(catalog.files))}"
    if catalog.unreadable:
        text += f", {len(catalog.unreadable):,} unreadable"
        return CheckResult("data", Verdict.WARN, text, advice=Advice.LIST_FILES)
    return CheckResult("data", Verdict.PASS, text)
