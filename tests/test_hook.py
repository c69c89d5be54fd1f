"""The shape checks are on where the tests rely on them."""

import pytest


def test_signatures_are_checked(request: pytest.FixtureRequest) -> None:
    """Without this, a lost import hook would let every shape pass."""
    if not request.config.getoption("--jaxtyping-packages"):
        pytest.skip("needs --jaxtyping-packages=bertlib,beartype.beartype")
    import bertlib

    assert "jaxtyping" in type(bertlib.__loader__).__module__
