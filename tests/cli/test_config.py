"""Settings from files: what goes first, what may stand where, and what is shown of it."""

import json
from pathlib import Path

from tests.conftest import Cli
from tests.support.records import MS, T0, trade, write_file


def user_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "home" / ".config" / "spyctl" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def shown(cli: Cli, **env: str) -> dict[tuple[str, str], tuple[str, str]]:
    result = cli("config", "show", "--json", **env)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["settings"]
    return {
        (row["setting"], command): (row["value"], row["origin"]) for row in rows for command in row["commands"] or [""]
    }


def test_a_flag_goes_before_the_environment_before_the_folder_before_the_user(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "es", "trades", [trade(T0 + i * MS) for i in range(3)])

    def speed(*arguments: str, **env: str) -> str:
        result = cli("replay", "--dry-run", "--data-dir", "es", *arguments, **env)
        assert result.returncode == 0, result.stderr
        return result.stderr.partition(" at ")[2].partition("×")[0]

    assert speed() == "1"
    user_file(tmp_path, "[replay]\nspeed = 3\n")
    assert speed() == "3"
    (tmp_path / "spyctl.toml").write_text("speed = 4\n")
    assert speed() == "4"
    assert speed(REPLAY_SPEED="5") == "5"
    assert speed("--speed", "6", REPLAY_SPEED="5") == "6"


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


def test_misspelt_keys_are_named_with_what_was_meant(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, 'data-dri = "x"\nforce = true\n[replya]\nspeed = 3\n[live]\nspeed = 3\n')
    said = cli("config", "show").stderr
    assert "there is no setting data-dri; did you mean data-dir?" in said
    assert "there is no setting force" in said  # a switch of one run
    assert "there is no command [replya]; did you mean replay?" in said
    assert "there is no setting [live] speed" in said


def test_secrets_and_passwords_are_masked(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, 'nats-url = "nats://ann:s3cr3t@stream.example"\n')
    env = {"POLYGON_API_KEY": "abcdefghijklmnop", "NATS_PASSWORD": "s3cr3t-pass"}
    result = cli("config", "show", **env)
    assert "s3cr3t" not in result.stdout + result.stderr
    assert "nats://****@stream.example" in result.stdout
    assert shown(cli, **env)["POLYGON_API_KEY", ""] == ("…mnop", "environment")


def test_a_file_that_is_no_toml_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, "speed = = 3\n")
    result = cli("replay", "--dry-run")
    assert result.returncode == 2
    assert "config.toml cannot be read" in result.stderr
    assert result.stderr.count("\n") == 2
    assert cli("replay", "--dry-run", SPYCTL_CONFIG="nowhere.toml").returncode == 6  # no data, but no complaint either


def test_a_wrong_value_of_a_file_is_told_like_a_typed_one(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, '[live]\nstrike-range = "wide"\n')
    result = cli("live", "--sim")
    assert (result.returncode, "strike-range" in result.stderr) == (2, True)
