"""Settings from files: which one wins, what may stand where, and what is wrong with them."""

import json
from pathlib import Path

from tests.conftest import Cli
from tests.support.records import MS, T0, trade, write_file


def user_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "home" / ".config" / "spyctl" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_precedence_is_flag_then_environment_then_folder_then_user(cli: Cli, tmp_path: Path) -> None:
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


def test_misspelt_keys_are_named_with_a_suggestion(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, 'data-dri = "x"\nforce = true\n[replya]\nspeed = 3\n[live]\nspeed = 3\n')
    said = cli("config", "show").stderr
    assert "there is no setting data-dri; did you mean data-dir?" in said
    assert "there is no setting force" in said  # a switch of one run
    assert "there is no command [replya]; did you mean replay?" in said
    assert "there is no setting [live] speed" in said


def test_another_name_of_an_option_leads_to_the_one_that_can_be_set(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, '[live]\nsymbol = "QQQ"\n')
    assert "there is no setting [live] symbol; did you mean underlying?" in cli("config", "show").stderr


def test_a_file_that_is_not_toml_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, "speed = = 3\n")
    result = cli("replay", "--dry-run")
    assert result.returncode == 2
    assert "config.toml cannot be read" in result.stderr
    assert result.stderr.count("\n") == 2
    assert cli("replay", "--dry-run", SPYCTL_CONFIG="nowhere.toml").returncode == 6  # no data, but no complaint either


def test_a_wrong_value_in_a_file_is_reported_like_a_typed_one(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, '[live]\nstrike-range = "wide"\n')
    result = cli("live", "--sim")
    assert (result.returncode, "strike-range" in result.stderr) == (2, True)


def test_a_folder_may_set_neither_hosts_nor_credentials(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "spyctl.toml").write_text('nats-url = "nats://evil"\ncreds = "x"\nfeed-url = "ws://evil"\ntz = "UTC"\n')
    result = cli("config", "show", "--json")
    values = {row["setting"]: row["value"] for row in json.loads(result.stdout)["settings"]}
    assert (values["nats-url"], values["creds"], values["feed-url"], values["tz"]) == ("", "", "", "UTC")
    for key in ("nats-url", "creds", "feed-url"):
        assert f"! spyctl.toml: {key} may not be set here, only in the user config" in result.stderr


def test_symbol_and_underlying_are_two_settings(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "spyctl.toml").write_text('symbol = "ESZ5"\nunderlying = "QQQ"\n')
    rows = json.loads(cli("config", "show", "--json").stdout)["settings"]
    values = {(row["setting"], command): row["value"] for row in rows for command in row["commands"]}
    assert values["symbol", "replay"] == "ESZ5"
    assert values["underlying", "live"] == values["underlying", "probe"] == "QQQ"
    assert ("symbol", "live") not in values


def test_a_tilde_in_a_value_is_the_home_folder(cli: Cli, tmp_path: Path) -> None:
    user_file(tmp_path, 'data-dir = "~/es"\n')
    rows = json.loads(cli("config", "show", "--json").stdout)["settings"]
    assert {row["value"] for row in rows if row["setting"] == "data-dir"} == {str(tmp_path / "home" / "es")}
