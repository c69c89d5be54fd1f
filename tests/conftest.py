"""What every test starts from: two threads, seed 0, no window, no cache."""

import os

os.environ["MPLBACKEND"] = "agg"

import hypothesis
import pytest
import torch

collect_ignore = ["wrong_solutions"]

torch.set_num_threads(min(2, os.cpu_count() or 1))

# Seeded: a run fails today if it failed yesterday.
hypothesis.settings.register_profile(
    "book", derandomize=True, deadline=None, database=None
)
hypothesis.settings.load_profile("book")


@pytest.fixture(autouse=True)
def seed() -> None:
    """Give every test the same random numbers, whatever ran before."""
    torch.manual_seed(0)
