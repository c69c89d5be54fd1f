"""Re-run notebooks and store their outputs in the normal form.

    python tools/execute.py chapters/03_positions.ipynb ...
    python tools/execute.py --check chapters/*.ipynb     # executes nothing

Each notebook runs alone in an empty folder. Where a cell fails, the stored
file stays as it was.
"""

import argparse
import base64
import io
import sys
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode
from PIL import Image

from normal_form import normalise, read, serialise

SECONDS_PER_CELL = 600
COLOURS = 4096  # a drawing has fewer; a picture with more stays as it is


class ExecutionFailed(Exception):
    """A cell of a notebook failed; the message shows cell and error."""


def execute(path: Path) -> str:
    """Run a notebook and return the text of its file in normal form.

    Raises: ExecutionFailed, naming the cell and its error.
    """
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=SECONDS_PER_CELL,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            ran = [c for c in notebook.cells if c.get("execution_count")]
            name = f"{path.name}, cell {ran[-1].id!r}" if ran else path.name
            raise ExecutionFailed(f"{name}:\n{error}") from error
    shrink_drawings(notebook)
    return serialise(normalise(notebook))


def shrink_drawings(notebook: NotebookNode) -> None:
    """Give drawings a palette of 256 colours: a third of the bytes."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            encoded = output.get("data", {}).get("image/png")
            if encoded is None:
                continue
            drawing = Image.open(io.BytesIO(base64.b64decode(encoded)))
            if drawing.convert("RGBA").getextrema()[3][0] < 255:
                continue  # partly transparent
            drawing = drawing.convert("RGB")
            if drawing.getcolors(COLOURS) is None:
                continue
            stored = io.BytesIO()
            drawing.quantize(256, dither=Image.Dither.NONE).save(
                stored, "PNG", optimize=True
            )
            output["data"]["image/png"] = base64.b64encode(
                stored.getvalue()
            ).decode("ascii")


def warm_up() -> None:
    """Let matplotlib write its font cache now: it says so on stderr."""
    import matplotlib.font_manager  # noqa: F401


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="only check")
    parser.add_argument("notebooks", nargs="*", type=Path)
    arguments = parser.parse_args()

    failed = 0
    if not arguments.check:
        warm_up()
    for path in arguments.notebooks:
        start = time.perf_counter()
        if arguments.check:
            if path.read_text(encoding="utf-8") != serialise(
                normalise(read(path))
            ):
                print(f"{path}: not in normal form; run `make execute`")
                failed += 1
            continue
        try:
            text = execute(path)
        except ExecutionFailed as error:
            print(f"{error}\n{path} was left as it was.", file=sys.stderr)
            failed += 1
            continue
        path.write_text(text, encoding="utf-8", newline="\n")
        seconds = time.perf_counter() - start
        print(f"{path}: {seconds:.1f} s, {len(text.encode()) // 1024} KB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
