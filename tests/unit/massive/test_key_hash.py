"""What tells keys apart, and tells nobody the key."""

from spyctl.massive.key_hash import key_hash


def test_the_hash_tells_keys_apart_and_not_what_they_are() -> None:
    assert key_hash("") == ""
    assert key_hash("one") == key_hash("one") != key_hash("two")
    assert "one" not in key_hash("one")
