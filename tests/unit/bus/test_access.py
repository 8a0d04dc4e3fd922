"""Credentials from files, contexts of the nats CLI, and what takes precedence; a secret is in no text."""

import ssl
from base64 import b64decode
from pathlib import Path
from typing import Any

import nkeys
import orjson
import pytest
import trustme

from spyctl.bus.access import Access, contexts, merged, read_context, read_secret
from spyctl.errors import IncompleteTlsError, NoDataError, UsageError
from tests.support.identities import creds, new_seed

SECRET = "s3cr3t-of-the-test"
SEED = new_seed(nkeys.PREFIX_BYTE_USER).decode()
CREDS = creds("j.w.t", SEED)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the contexts."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_nothing_given_is_no_option() -> None:
    assert Access().options() == {}


def test_each_credential_becomes_an_option_of_the_client(tmp_path: Path) -> None:
    nkey = write(tmp_path / "n", SEED + "\n")
    assert Access(nkey=nkey).options() == {"nkeys_seed": str(nkey)}
    for access in (Access(creds=write(tmp_path / "c", CREDS)), Access(jwt="j.w.t", seed=SEED)):
        options = access.options()
        assert options["user_jwt_cb"]() == b"j.w.t"
        assert nkeys.from_seed(bytearray(SEED.encode())).verify(b"nonce", b64decode(options["signature_cb"]("nonce")))
    assert Access(user="ann", password=SECRET).options() == {"user": "ann", "password": SECRET}
    assert Access(user="ann").options() == {"user": "ann", "password": ""}
    assert Access(token=SECRET).options() == {"token": SECRET}
    first = Access(tls_first=True, inbox_prefix="_MINE").options()
    assert (first["tls_handshake_first"], first["inbox_prefix"]) == (True, "_MINE")
    assert isinstance(first["tls"], ssl.SSLContext)


def test_files_are_read_anew_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "s", "one\n")
    access = Access(user="ann", password_file=path, token_file=path)
    assert access.options() == {"user": "ann", "password": "one", "token": "one"}
    path.write_text("two\n")
    assert access.options() == {"user": "ann", "password": "two", "token": "two"}
    assert set(access.secrets()) == {"two"}
    path.unlink()
    with pytest.raises(UsageError, match="s cannot be read"):
        access.options()


@pytest.mark.parametrize("text", ["", "hello", CREDS[:60], CREDS.replace(SEED, "SUABC"), CREDS.replace("SEED", "")])
def test_a_credentials_file_that_is_not_whole_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="c is not a NATS credentials file"):
        Access(creds=write(tmp_path / "c", text)).options()


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "f", "hello")
    with pytest.raises(UsageError, match="f is not a NATS credentials file"):
        Access(creds=path).options()
    with pytest.raises(UsageError, match="f holds no user seed"):
        Access(nkey=path).options()
    with pytest.raises(UsageError, match="f cannot be used for TLS"):
        Access(ca=path).options()


def test_an_authority_and_a_client_certificate_make_a_tls_context(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("me@x.org")
    client.private_key_pem.write_to_path(tmp_path / "me.key")
    client.cert_chain_pems[0].write_to_path(tmp_path / "me.pem")
    access = Access(ca=tmp_path / "ca.pem", cert=tmp_path / "me.pem", key=tmp_path / "me.key")
    assert isinstance(access.options()["tls"], ssl.SSLContext)
    with pytest.raises(UsageError, match="ca.pem cannot be used for TLS"):
        Access(cert=tmp_path / "ca.pem", key=tmp_path / "me.key").options()


def test_a_client_certificate_without_its_key_is_incomplete(tmp_path: Path) -> None:
    with pytest.raises(IncompleteTlsError):
        Access(cert=tmp_path / "me.pem").options()


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(Access(user="ann", password=SECRET, token=SECRET))


def test_a_secret_is_read_without_its_last_newline(tmp_path: Path) -> None:
    assert read_secret(write(tmp_path / "s", SECRET + "\n")) == SECRET
    with pytest.raises(UsageError, match="none cannot be read"):
        read_secret(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"binary cannot be read \(not text\)"):
        read_secret(tmp_path / "binary")


def test_a_context_gives_servers_and_credentials(folder: Path) -> None:
    document = {"url": "nats://a:4222, nats://b:4222", "user": "ann", "password": SECRET, "creds": "", "nkey": "/n"}
    (folder / "prod.json").write_bytes(orjson.dumps(document))
    write(folder / "bent.json", "{")
    assert list(contexts()) == ["bent", "prod"]
    urls, access = read_context("prod")
    assert urls == ("nats://a:4222", "nats://b:4222")
    assert access == Access(user="ann", password=SECRET, nkey=Path("/n"))


def test_a_context_that_is_unknown_bent_or_asks_nsc_is_an_error(folder: Path) -> None:
    with pytest.raises(NoDataError, match="no nats context 'prod'; there is none"):
        read_context("prod")
    write(folder / "bent.json", "{")
    write(folder / "list.json", "[]")
    write(folder / "nsc.json", '{"nsc": "nsc://O/A/u"}')
    for name, reason in (("bent", "cannot be read"), ("list", "cannot be read"), ("nsc", "asked of nsc")):
        with pytest.raises(UsageError, match=reason):
            read_context(name)


def test_a_context_gives_what_else_its_user_needs(folder: Path) -> None:
    document = {"user_jwt": "j.w.t", "user_seed": SEED, "inbox_prefix": "_MINE", "tls_first": True, "description": "x"}
    (folder / "prod.json").write_bytes(orjson.dumps(document))
    assert read_context("prod") == ((), Access(jwt="j.w.t", seed=SEED, inbox_prefix="_MINE", tls_first=True))
    assert SEED not in repr(read_context("prod"))


@pytest.mark.parametrize(
    "setting",
    [
        {"jetstream_domain": "hub"}, {"jetstream_api_prefix": "$JS.hub.API"}, {"socks_proxy": "socks5://h:1"},
        {"windows_cert_store": "user"}, {"user_jwt": "j.w.t"}, {"user_seed": SEED},
        {"user_jwt": "j", "user_seed": "SU1"},
        {"user_jwt": 5, "user_seed": SEED}, {"inbox_prefix": "a.*"}, {"inbox_prefix": "a b"}, {"inbox_prefix": "a."},
    ],
)  # fmt: skip
def test_what_a_context_sets_and_cannot_be_honoured_is_refused_by_name(folder: Path, setting: dict[str, Any]) -> None:
    (folder / "prod.json").write_bytes(orjson.dumps({"url": "nats://a"} | setting))
    with pytest.raises(UsageError, match=next(reversed(setting))) as error:
        read_context("prod")
    assert SEED not in error.value.message


def test_what_is_given_takes_precedence_over_a_context() -> None:
    under = Access(user="ann", password="a", token="t")
    assert merged(Access(user="bob", password="b"), under) == Access(user="bob", password="b", token="t")
    assert merged(Access(), under) == under
