"""Which NATS server is meant, and how to authenticate there."""

from pathlib import Path
from typing import Any

import pytest
import typer

from spyctl.bus.access import Access
from spyctl.cli.framework.command import add_command, command_group
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.nats_options import NatsOptions, nats_urls
from spyctl.errors import SpyctlError, UsageError

VARIABLES = (
    "NATS_URL", "NATS_CREDS", "NATS_NKEY", "NATS_USER", "NATS_PASSWORD", "NATS_PASSWORD_FILE", "NATS_TOKEN",
    "NATS_TOKEN_FILE", "NATS_CA", "NATS_CERT", "NATS_KEY", "SPYCTL_STORE", "SPYCTL_PORT", "SPYCTL_PREFIX",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (*VARIABLES, "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def target(*arguments: str, may_embed: bool = True, **from_files: Any) -> Any:
    """Return the target that a command line means."""
    targets: list[Any] = []

    def act(context: typer.Context, *, nats: NatsOptions) -> None:
        targets.append(nats.target(context, may_embed=may_embed))

    app = command_group("Targets.")
    add_command(app, act)
    command: Any = typer.main.get_command(app)
    with command.make_context("x", ["act", *arguments], obj=Reporter(), default_map={"act": from_files}) as context:
        command.invoke(context)
    return targets[0]


def test_nothing_named_means_the_default_port_or_the_embedded_server(home: Path) -> None:
    found = target()
    assert (found.urls, found.named_by, found.embedded, found.may_embed) == ((), "", False, True)
    assert found.default_url == "nats://localhost:4222"
    assert found.store == home / ".local" / "share" / "spyctl" / "nats"
    assert found.access == Access()
    assert not target(may_embed=False).may_embed


def test_the_place_that_named_the_server_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    flag, in_file = target("--nats-url", "nats://a,tls://b:1"), target(nats_url="nats://file")
    assert (flag.urls, flag.named_by) == (("nats://a", "tls://b:1"), "--nats-url")
    assert (in_file.urls, in_file.named_by) == (("nats://file",), "nats_url")
    monkeypatch.setenv("NATS_URL", "nats://u:pw@env")
    from_environment = target()
    assert (from_environment.urls, from_environment.named_by) == (("nats://u:pw@env",), "NATS_URL")


def test_embedded_and_a_named_server_exclude_each_other_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        target("--embedded", "--nats-url", "nats://a")
    monkeypatch.setenv("NATS_URL", "nats://a")
    assert target("--embedded").embedded


def test_secrets_come_from_files_and_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "password").write_text("pw\n")
    monkeypatch.setenv("NATS_TOKEN", "t0k")
    found = target(
        "--user", "ann", "--password-file", str(home / "password"), "--creds", "a.creds", "--tls-ca", "ca.pem"
    )
    password = home / "password"
    expected = Access(user="ann", password_file=password, token="t0k", creds=Path("a.creds"), ca=Path("ca.pem"))
    assert found.access == expected
    assert "t0k" not in repr(found)


def test_a_context_of_the_nats_cli_names_server_and_credentials(home: Path) -> None:
    folder = home / ".config" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "prod.json").write_text('{"url": "nats://prod", "user": "ann", "password": "pw"}')
    found = target("--context", "prod", "--user", "bob")
    assert (found.urls, found.named_by) == (("nats://prod",), "--context")
    assert (found.access.user, found.access.password) == ("bob", "pw")  # what is typed wins
    named = target("--context", "prod", "--nats-url", "nats://other")
    assert (named.urls, named.named_by) == (("nats://other",), "--nats-url")


@pytest.mark.parametrize("prefix", ["a.b", "a b", "*", ">"])
def test_a_prefix_is_one_token_of_a_subject(prefix: str) -> None:
    with pytest.raises(UsageError, match="is not a subject token"):
        target("--prefix", prefix)


@pytest.mark.parametrize(
    "url", ["http://a", "nats://", "nats://a:x", "nats://u:p/w@a", "nats://u:p#w@a", "nats://a@b@c"]
)
def test_what_is_not_a_url_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(SpyctlError) as error:
        nats_urls(url, on_command_line=False)
    assert "is not a NATS URL" in error.value.message
    assert "@" not in error.value.message


def test_a_password_is_refused_on_the_command_line_alone() -> None:
    with pytest.raises(UsageError, match="everybody can see"):
        nats_urls("u:pw@host", on_command_line=True)
    assert nats_urls("u:pw@host , nats://b", on_command_line=False) == ("u:pw@host", "nats://b")
    assert nats_urls(None, on_command_line=True) == ()


def test_a_half_typed_command_line_means_a_server_that_runs(home: Path) -> None:
    assert NatsOptions(nats_url="nats://a,nats://b").running_server() == (("nats://a", "nats://b"), Access())
    assert NatsOptions(port=4333).running_server() == (("nats://localhost:4333",), Access())
    assert not (home / ".local").exists()  # nothing is started
