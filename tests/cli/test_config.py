"""``spyctl config``: each setting, its value and where it comes from."""

import json
from pathlib import Path

from tests.cli.framework.test_settings import user_file
from tests.conftest import Cli


def shown(cli: Cli, **env: str) -> dict[tuple[str, str], tuple[str, str]]:
    result = cli("config", "show", "--json", **env)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["settings"]
    return {
        (row["setting"], command): (row["value"], row["origin"]) for row in rows for command in row["commands"] or [""]
    }


def test_a_folder_may_set_neither_hosts_nor_credentials(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "spyctl.toml").write_text(
        'nats-url = "nats://evil.example"\ncreds = "x"\nfeed-url = "ws://evil"\ntz = "UTC"\n'
    )
    result = cli("config", "show", "--json")
    found = shown(cli)
    assert found["nats-url", "replay"] == ("", "default")
    assert found["creds", "live"] == ("", "default")
    assert found["tz", "replay"] == ("UTC", "./spyctl.toml")
    for key in ("nats-url", "creds", "feed-url"):
        assert f"! spyctl.toml: {key} may not be set here" in result.stderr


def test_secrets_and_passwords_are_masked(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, 'nats-url = "nats://ann:s3cr3t@stream.example"\nfeed-url = "wss://feed?apiKey=s3cr3t"\n')
    env = {"POLYGON_API_KEY": "abcdefghijklmnop", "NATS_PASSWORD": "s3cr3t-pass"}
    result = cli("config", "show", **env)
    assert "s3cr3t" not in result.stdout + result.stderr
    assert "nats://****@stream.example" in result.stdout
    assert shown(cli, **env)["POLYGON_API_KEY", ""] == ("…mnop", "environment")
