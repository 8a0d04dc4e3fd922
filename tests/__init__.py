"""The tests of spyctl."""

import pytest

pytest.register_assert_rewrite("tests.support")  # an assertion there explains itself as one in a test does
