"""Fixtures: a real server, an environment that touches nothing of the user's, the program as a process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.here import Here, runner
from tests.support.servers import NatsServer, unused_port

ROOT = Path(__file__).parent.parent
Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Offered = Callable[..., list[str]]

# How long an example takes says how busy the machine is.
settings.register_profile("spyctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spyctl")


def pytest_xdist_auto_num_workers() -> int:
    """Two workers to a core: tests wait for processes and servers half of their time."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[None]:
    """What is remembered of files is remembered for one test."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.getbasetemp() / f"cache-{abs(hash(request.node.nodeid))}")
    yield
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.stop()


@pytest.fixture
def old_server(tmp_path: Path) -> Iterator[NatsServer]:
    """Debian's nats-server (2.9), where it is installed: it knows no batches, no metadata, several filters not."""
    binary = Path("/usr/sbin/nats-server")
    if not binary.is_file():
        pytest.skip("Debian's nats-server is not installed: apt-get install nats-server")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    if not version.strip().rpartition("v")[2].startswith("2.9."):
        pytest.skip(f"the nats-server installed here is {version.strip()}, not 2.9")
    server = NatsServer(tmp_path / "old", binary=binary).start()
    yield server
    server.stop()


@pytest.fixture
def free_port() -> int:
    return unused_port()


@pytest.fixture
def environment(tmp_path: Path, free_port: int) -> dict[str, str]:
    """An environment in which spyctl finds neither the user's settings nor port 4222."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TMPDIR") if key in os.environ}
    return kept | {
        "HOME": str(tmp_path / "home"),
        "SPYCTL_STORE": str(tmp_path / "store"),
        "SPYCTL_PORT": str(free_port),
        "COLUMNS": "80",
    }


@pytest.fixture
def cli(environment: dict[str, str], tmp_path: Path) -> Cli:
    """Run ``spyctl ARGS`` in ``tmp_path`` and return what it printed."""

    def run(*args: str, timeout: float = 60, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "spyctl", *args],
            env=environment | env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def offered(environment: dict[str, str], tmp_path: Path) -> Offered:
    """Ask as a shell does, in ``tmp_path``, what the Tab key offers behind ``spyctl LINE``."""

    def ask(line: str, **env: str) -> list[str]:
        words = f"spyctl {line}".split(" ")
        asked = {
            "_SPYCTL_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1),
        }  # fmt: skip
        result = subprocess.run(
            [str(Path(sys.executable).with_name("spyctl"))], env=environment | asked | env, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.stderr == ""
        return result.stdout.split()

    return ask


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Here:
    """Run ``spyctl ARGS`` in ``tmp_path``, inside this process, and return what it printed."""
    return runner(monkeypatch, capfd, tmp_path)
