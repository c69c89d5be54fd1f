"""Vendored files are the published ones, listed and licensed."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "third_party"
FOLDERS = {"js": ".js", "fonts": ".woff2"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_listed_with_its_hash(folder):
    readme = (ROOT / folder / "README.md").read_text("utf-8")
    listed = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", readme))
    present = {
        path.relative_to(ROOT / folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in (ROOT / folder).rglob("*" + FOLDERS[folder])
    }
    assert present == listed


def test_every_library_comes_with_its_licence():
    for folder in (ROOT / "js").iterdir():
        if folder.is_dir():
            assert (folder / "LICENSE").stat().st_size > 500, folder
    for family in ("source-serif-4", "source-sans-3"):
        assert (ROOT / "fonts" / f"LICENSE-{family}").is_file()
