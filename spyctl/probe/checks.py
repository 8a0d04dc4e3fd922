"""All checks, one after the other.

The checks connect with the very code of the other commands, so that one that passes proves something.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from spyctl.probe.bus import bus_checks
from spyctl.probe.data import data_check, databento_check
from spyctl.probe.futures import futures_check
from spyctl.probe.request import Findings, ProbeRequest
from spyctl.probe.rest import rest_checks
from spyctl.probe.result import CheckResult
from spyctl.probe.sockets import socket_checks


async def probe(request: ProbeRequest) -> AsyncIterator[CheckResult]:
    """Yield the result of each check as it is known."""
    findings = Findings()
    async with AsyncExitStack() as stack:
        # Checked first, shown last: a running live with this key decides what may be done to its sockets.
        bus = await bus_checks(request, findings, stack)
        for checks in (rest_checks, socket_checks):
            async for result in checks(request, findings):
                yield result
        for result in bus:
            yield result
    yield await databento_check(request)
    yield await futures_check(request)
    yield data_check(request.data_dir)
