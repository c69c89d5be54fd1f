"""Train the two models in data/checkpoints/ and put them there.

    python data/make_checkpoints.py WORK            # trains: about an hour
    python data/make_checkpoints.py WORK addresses-2x256

WORK is a folder outside the repository; a run that was stopped goes on from
there. Each folder in data/checkpoints/ holds `run.toml`, the settings of its
run, which is nothing but

    python -m bertlib.pretraining --out WORK/NAME --config .../NAME/run.toml

`waiting-2x128` is the model after 625 of its 8,000 steps, in half precision.
"""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent / "checkpoints"
WAITING_STEP = 625


def train(name: str, work: Path) -> Path:
    """Run the settings of a checkpoint, from where an earlier run stopped."""
    config, run = HERE / name / "run.toml", work / name
    command = [sys.executable, "-m", "bertlib.pretraining", "--out", str(run)]
    process = subprocess.Popen([*command, "--config", str(config), "--resume"])
    if name != "waiting-2x128":
        if process.wait():
            raise SystemExit(f"the run in {run} failed")
        return run
    kept = run / f"step-{WAITING_STEP}"
    while not (kept / "config.json").exists():  # written last
        if process.poll() is not None:
            raise SystemExit(f"the run in {run} failed")
        time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.wait()
    return kept


def store(name: str, run: Path) -> None:
    """Copy what the book needs."""
    target = HERE / name
    shutil.copy(run / "config.json", target)
    if name == "waiting-2x128":
        tensors = load_file(run / "model.safetensors")
        save_file(
            {key: tensor.half() for key, tensor in tensors.items()},
            target / "model.safetensors",
            metadata={"format": "pt"},
        )
        return
    for file in ("model.safetensors", "vocab.txt", "tokenizer_config.json",
                 "log.csv", "evaluation.json"):  # fmt: skip
        shutil.copy(run / file, target)


def main(work: str, *names: str) -> None:
    for name in names or ("addresses-2x256", "waiting-2x128"):
        store(name, train(name, Path(work)))
        size = sum(f.stat().st_size for f in (HERE / name).iterdir())
        print(json.dumps({name: f"{size / 1e6:.1f} MB"}))


if __name__ == "__main__":
    main(*sys.argv[1:])
