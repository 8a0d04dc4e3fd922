"""What goes out: no secret in any form, nothing that steers a terminal, our own styles."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.terminal import outgoing as module
from spyctl.terminal.outgoing import MASK, Mark, learn, learn_url, mask_url, masked, outgoing, safe, safe_line

SECRET = "s3cr3t-of-the-test"
HOSTILE = [
    SECRET,
    "a/b+c=d e%f&g",
    "quo\"te\\back's",
    "schlüssel-東京",
    "two\nlines-of-it",
    "tab\there-it-is",
    "\x1b[31mred-one",
]


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_secrets", {})


def forms(secret: str) -> Iterator[str]:
    """Yield how a secret may be written by us, by a library or by a server."""
    yield from (secret, repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False))
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower())
    for text in (secret, f"{secret}:", f"ann:{secret}", f"x{secret}"):
        yield base64.b64encode(text.encode()).decode()
        yield base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("secret", HOSTILE)
def test_a_secret_is_masked_in_every_form(secret: str) -> None:
    learn(secret)
    core = secret.split()[-1]
    for form in forms(secret):
        text = masked(f"refused: '{form}' is unknown")
        assert MASK in text, form
        assert form.strip("'\"=") not in text
        assert core not in text
        assert text.startswith("refused: ")
        assert text.endswith(" is unknown")


def test_a_short_secret_is_masked_as_a_word_alone_and_a_very_short_one_not_at_all() -> None:
    learn("tick")
    learn("pw")
    assert masked("tick, ticker: pw") == f"{MASK}, ticker: pw"


def test_numbers_of_a_document_stay_numbers() -> None:
    learn("2025")
    learn("20251216")
    assert json.loads(masked('{"events": 2025, "first_ns": 202512161430}')) == {
        "events": 2025,
        "first_ns": 202512161430,
    }
    assert masked("the token 20251216 is bad") == f"the token {MASK} is bad"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("nats://host:4222", "nats://host:4222"),
        ("a, tls://b:1", "a, tls://b:1"),
        ("[::1]:4222", "[::1]:4222"),
        (f"nats://ann:{SECRET}@host", "nats://****@host"),
        (f"ann:{SECRET}@host:1", "****@host:1"),
        (f"ann:a/{SECRET}@host", "****@host"),
        (f"nats://ann:a@{SECRET}@host", "nats://****@host"),
        (f"nats://ann:a {SECRET}@host", "nats://****@host"),
        (f"nats://a:4222,nats://ann:{SECRET}@b", "nats://a:4222,nats://****@b"),
        (f"nats://a, ann:{SECRET}@b", "nats://****@b"),
        (f"nats://ann:a,{SECRET}@b", "nats://****@b"),
        (f"nats://ann:{SECRET}", MASK),
        (f"wss://host/?apiKey={SECRET}", "wss://host/****"),
        (f"https://host?a=1&key={SECRET}", "https://host?****"),
        (f"https://host/{SECRET}", "https://host/****"),
        (f"https://host#{SECRET}", "https://host#****"),
    ],
)
def test_a_setting_with_urls_shows_servers_alone(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"nats://ann:{SECRET}@host", f"{SECRET}@host", f"a,ann:{SECRET}@b", f"nats://ann:x,{SECRET}@b",
        f"wss://host/?apiKey={SECRET}", f"https://h?x=1&key={SECRET}&y=2", f"http://u:{SECRET}@proxy:3128",
    ],
)  # fmt: skip
def test_what_a_url_hides_is_masked_by_itself(url: str) -> None:
    learn_url(url)
    assert SECRET not in masked(f"the server says {SECRET} is wrong")


def test_urls_and_keys_in_a_text_are_masked_though_nobody_knew_them() -> None:
    text = "cannot reach nats://ann:pw@host?apiKey=abc&x=1, token=abc; POLYGON_API_KEY=… and speed=10 stay"
    shown = masked(text)
    assert shown == "cannot reach nats://****@host?apiKey=****&x=1, token=****; POLYGON_API_KEY=… and speed=10 stay"


@given(st.text())
def test_nothing_steers_a_terminal(text: str) -> None:
    for shown in (safe(text), outgoing(text)):
        ours = shown.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[31m", "")
        ours = ours.replace("\x1b[32m", "").replace("\x1b[33m", "")
        assert not any(
            ord(character) < 32 or 127 <= ord(character) < 160 for character in ours if character not in "\t\n"
        )
    assert len(safe_line(text).splitlines()) <= 1


def test_a_control_character_is_shown_as_wide_as_it_is_long() -> None:
    assert safe_line("a\x1b[2Jb\r\nc\x9b\x7f\u202e") == "a␛[2Jb␍␊c�␡�"
    assert safe("two\nlines\tof it") == "two\nlines\tof it"


def test_only_our_own_styles_reach_the_terminal() -> None:
    assert outgoing(f"{Mark.RED}error:{Mark.END} \x1b[32mfine\x1b[0m") == "\x1b[31merror:\x1b[0m ␛[32mfine␛[0m"
    assert safe(f"{Mark.RED}x") == "�x"
