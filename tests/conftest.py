"""What every test starts from: two threads, seed 0, no window, no cache."""

import os
import sys
from pathlib import Path

# The scripts in data/ share runs.py.
sys.path.append(str(Path(__file__).resolve().parent.parent / "data"))

os.environ["MPLBACKEND"] = "agg"
os.environ.setdefault("OMP_NUM_THREADS", "2")  # torch reads it once

import hypothesis
import pytest

collect_ignore = ["wrong_solutions"]

# Seeded: a run fails today if it failed yesterday.
hypothesis.settings.register_profile(
    "book", derandomize=True, deadline=None, database=None
)
hypothesis.settings.load_profile("book")


@pytest.fixture(autouse=True)
def seed() -> None:
    """Give every test the same random numbers, whatever ran before."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
