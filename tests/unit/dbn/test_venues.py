"""Datasets of futures, and the exchange of their records by publisher."""

import numpy as np
import pytest

from spyctl.dbn.venues import exchanges, holds_futures, is_known


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("GLBX.MDP3", True),
        ("IFEU.IMPACT", True),
        ("NDEX.IMPACT", True),
        ("IFUS.IMPACT", True),
        ("XEUR.EOBI", True),
        ("XNAS.ITCH", False),
        ("EQUS.MINI", False),
        ("DBEQ.BASIC", False),
        ("ARCX.PILLAR", False),
        ("OPRA.PILLAR", False),
        ("", False),
    ],
)
def test_only_datasets_of_futures_are_played(dataset: str, expected: bool) -> None:
    assert holds_futures(dataset) is expected
    assert is_known(dataset) is bool(dataset)


def test_the_exchange_is_that_of_the_publisher() -> None:
    assert exchanges("GLBX.MDP3", np.array([1, 1], np.uint16)).tolist() == [b"CME", b"CME"]
    assert exchanges("IFEU.IMPACT", np.array([57, 84], np.uint16)).tolist() == [b"IFEU", b"XOFF"]
    assert exchanges("NDEX.IMPACT", np.array([58, 85], np.uint16)).tolist() == [b"NDEX", b"XOFF"]
