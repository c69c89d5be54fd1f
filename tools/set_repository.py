"""Write the address of the repository into every file that names it.

    python tools/set_repository.py https://github.com/you/your-fork

The address stands in _config.yml; this tool replaces it there and wherever
the other files of the book repeat it. Needs only Python's standard library.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://([\w.-]+)/([\w.-]+)/([\w.-]+)")
CONFIG_URL = re.compile(
    r"^(repository:\n(?:[ \t]+.*\n)*?[ \t]+url:[ \t]*)(\S+)", re.MULTILINE
)
CELL_URL = re.compile(r'^    repository = "(.*)"$', re.MULTILINE)
FILES = (
    "_config.yml",
    "CITATION.cff",
    "README.md",
    "book/*.md",
    "chapters/*.ipynb",
    "data/README.md",
    "tools/colab_cell.py",
)


def validate(address: str) -> str:
    """Return the address as it is stored, without `.git` or a final slash.

    Raises: ValueError where it is not https://host/owner/name.
    """
    short = address.strip().removesuffix("/").removesuffix(".git")
    if not ADDRESS.fullmatch(short):
        raise ValueError(
            f"{address!r} is not the address of a repository; "
            "it must read https://github.com/owner/name"
        )
    return short


def repository_url(root: Path = ROOT) -> str:
    """The address in _config.yml, the one place where it is decided."""
    match = CONFIG_URL.search((root / "_config.yml").read_text("utf-8"))
    if match is None:
        raise ValueError("_config.yml has no url under `repository:`")
    return match[2].strip("\"'")


def colab_cell(root: Path, address: str) -> str:
    """The text of every chapter's Colab cell, with the given address."""
    text = (root / "tools" / "colab_cell.py").read_text("utf-8")
    return CELL_URL.sub(f'    repository = "{address}"', text)


def renamed(text: str, old: str, new: str) -> str:
    """Replace one repository by another, also in Colab's and Pages' links."""
    for before, after in zip(_forms(old), _forms(new), strict=True):
        end = r"(?=\.git\b)|(?![\w-]|\.\w)"
        text = re.sub(f"{re.escape(before)}(?:{end})", after, text)
    return text


def _forms(address: str) -> tuple[str, ...]:
    host, owner, name = ADDRESS.fullmatch(address).groups()
    return (
        address,
        f"colab.research.google.com/{host.removesuffix('.com')}/{owner}/{name}",
        f"https://{owner}.{host.removesuffix('.com')}.io/{name}",
    )


def set_repository(address: str, root: Path = ROOT) -> list[Path]:
    """Write the address everywhere and return the files that changed."""
    new, old = validate(address), repository_url(root)
    changed = []
    for pattern in FILES:
        for path in sorted(root.glob(pattern)):
            before = path.read_text("utf-8")
            after = renamed(before, old, new)
            if after != before:
                path.write_text(after, "utf-8", newline="\n")
                changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        changed = set_repository(arguments[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"the repository is {repository_url()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
