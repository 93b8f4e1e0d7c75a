"""Puts the example on the import path, as its own process would have it, and gives its recordings."""

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "01-stream-fan-in"
if str(EXAMPLE) not in sys.path:
    sys.path.insert(0, str(EXAMPLE))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recorded sessions."""
    return EXAMPLE / "data"


@pytest.fixture(scope="session")
def page() -> str:
    """The page of the example."""
    return (EXAMPLE / "market" / "web" / "index.html").read_text()
