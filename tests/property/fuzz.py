"""Feed readers of outside data with spoilt inputs for long: ``python -m tests.property.fuzz``.

Every input is made from a number, which is printed with what it did: ``--only coco --first 17
--examples 1`` makes it again. The suite runs a few of them (`test_fuzz_readers`).
"""

import argparse
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from model.errors import ModelError
from tests.property.fuzz_targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
MOST_SHOWN = 8  # kinds of faults that are told of one reader


def try_one(target: Target, seed: int) -> str:
    """Outcome of one input: ``read`` or ``refused``; whatever else comes out is raised."""
    target.spoil(random.Random(seed))
    try:
        target.read()
    except ModelError as error:
        return "refused" if str(error) else "told nothing"
    return "read"


def main() -> int:
    """Run the readers that are asked for, and tell how many inputs were refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0, help="most for each reader")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=list(TARGETS))
    asked = parser.parse_args()
    failed = 0
    _say(
        f"{'reader':<12} {'inputs':>8} {'refused':>8} {'read':>8} {'faults':>7} {'s':>7} peak MiB"
    )
    for name in asked.only:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            failed += _run(name, Path(folder), asked)
    return 1 if failed else 0


def _run(name: str, folder: Path, asked: argparse.Namespace) -> int:
    target = TARGETS[name](folder)
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    told: dict[str, str] = {}
    began = time.monotonic()
    for seed in range(asked.first, asked.first + asked.examples):
        if asked.seconds and time.monotonic() - began > asked.seconds:
            break
        try:
            outcomes[try_one(target, seed)] += 1
        except Exception as error:
            kind = f"{type(error).__name__} at {_place(error)}"
            faults[kind] += 1
            told.setdefault(kind, f"seed {seed}: {str(error)[:160]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = (outcomes.total() + faults.total(), outcomes["refused"], outcomes["read"])
    spent = f"{faults.total():>7} {time.monotonic() - began:>7.1f} {peak:.0f}"
    _say(f"{name:<12} {' '.join(f'{count:>8}' for count in counts)} {spent}")
    for kind, count in faults.most_common(MOST_SHOWN):
        _say(f"    {count} x {kind}: {told[kind]}")
    return faults.total()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _place(error: Exception) -> str:
    """The last line of ours that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


if __name__ == "__main__":
    sys.exit(main())
