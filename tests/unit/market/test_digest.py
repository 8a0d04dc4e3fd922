"""The digest of a run, as anyone can compute it."""

from hashlib import blake2b

import pytest

from spyctl.market.digest import ALGORITHM, knows, new_digest

LINES = b'{"a":1}\n{"b":2}\n'


def test_the_digest_is_xxh3_over_the_lines_however_they_come() -> None:
    digest = new_digest()
    for line in LINES.splitlines(keepends=True):
        digest.update(memoryview(line))
    assert ALGORITHM == "xxh3-128"
    assert digest.hexdigest() == "81fb1d4dc5f1df67e9490a8c2a2e7c21"  # printf '{"a":1}\\n{"b":2}\\n' | xxh128sum


def test_that_of_older_tapes_is_still_computed() -> None:
    digest = new_digest("blake2b-128")
    digest.update(LINES)
    assert digest.hexdigest() == blake2b(LINES, digest_size=16).hexdigest()


def test_another_one_is_not_known() -> None:
    assert knows("blake2b-128")
    assert not knows("md5")
    with pytest.raises(KeyError):
        new_digest("md5")
