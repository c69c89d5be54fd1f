"""The one normal form in which notebooks are committed.

Two runs of a deterministic notebook give the same bytes, so that a diff shows
only what changed: metadata the book does not use is dropped, keys are sorted,
execution counts run from 1, and addresses and random ids are made stable.
"""

import hashlib
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

NOTEBOOK_METADATA = {"accelerator", "colab"}
CELL_METADATA = {"cellView", "mystnb", "nbgrader", "tags"}
KERNEL = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
WIDGETS = "application/vnd.jupyter.widget"

ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}\b")
BERTVIZ_ID = re.compile(r"\bbertviz-[0-9a-f]{32}\b")


def read(path: Path) -> NotebookNode:
    """Read a notebook of format 4.5 or convert an older one to it."""
    return nbformat.read(path, as_version=4)


def serialise(notebook: NotebookNode) -> str:
    """Return the text of the notebook's file."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of the notebook in normal form; applying it twice is idle.

    A code cell that was never run keeps its empty count: this function must
    not make an unexecuted notebook look executed.
    """
    result = nbformat.from_dict(json.loads(json.dumps(notebook)))
    result.nbformat, result.nbformat_minor = 4, 5
    result.metadata = nbformat.from_dict(
        _only(result.metadata, NOTEBOOK_METADATA) | KERNEL
    )
    count = 0
    for cell in result.cells:
        cell.source = cell.source.rstrip()
        cell.metadata = _only(cell.metadata, CELL_METADATA)
        if cell.cell_type == "code":
            if cell.source and cell.execution_count is not None:
                count += 1
                cell.execution_count = count
            cell.outputs = _outputs(cell)
    return result


def _only(metadata: NotebookNode, keys: set[str]) -> NotebookNode:
    return NotebookNode({k: v for k, v in metadata.items() if k in keys})


def _outputs(cell: NotebookNode) -> list[NotebookNode]:
    outputs: list[NotebookNode] = []
    for output in cell.outputs:
        previous = outputs[-1] if outputs else None
        if output.output_type == "stream":
            if (
                previous is not None
                and previous.output_type == "stream"
                and previous.name == output.name
            ):
                previous.text += output.text
                continue
        elif output.output_type in ("display_data", "execute_result"):
            output.data = NotebookNode(
                {
                    kind: value.strip() if kind == "image/png" else value
                    for kind, value in output.data.items()
                    if not kind.startswith(WIDGETS)
                }
            )
            output.metadata = _only(output.metadata, set(output.data))
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
        outputs.append(output)

    stable_ids: dict[str, str] = {}

    def stable_id(match: re.Match[str]) -> str:
        key = f"{cell.id}/{len(stable_ids)}"
        digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
        return stable_ids.setdefault(match[0], f"bertviz-{digest}")

    def stable(text: str) -> str:
        return BERTVIZ_ID.sub(stable_id, ADDRESS.sub("at 0x0", text))

    for output in outputs:
        if output.output_type == "stream":
            lines = output.text.split("\n")  # "\r" rewrites a line
            output.text = stable(
                "\n".join(x.rstrip("\r").rpartition("\r")[2] for x in lines)
            )
        elif "data" in output:
            for kind, value in output.data.items():
                if isinstance(value, str) and not kind.startswith("image/"):
                    output.data[kind] = stable(value)
    return outputs
