"""Whether a machine of a cluster can train for us: same code, same folder, same data.

`look` runs there and only tells what it sees; `check` compares, here.
"""

import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evolve.errors import EvolveError

NEEDED = ("torch", "numpy", "pydantic", "opencv-python-headless", "pycocotools", "tensorboardX")
SAME = ("torch",)  # others must only be there


@dataclass(frozen=True)
class Question:
    """What a machine is asked.

    Attributes
    ----------
    folder : str
        Where the run folder is, or is going to be.
    token : str
        Name of a file in it that holds its own name.
    data : str
        Where the data should be; empty if they are sent.
    gpus : bool
        Whether to tell of the memory of its GPUs.
    """

    folder: str
    token: str
    data: str = ""
    gpus: bool = False


def look(question: Question) -> dict[str, Any]:
    """What this machine sees; answers in the folder with a file of its own."""
    seen: dict[str, Any] = {
        "python": ".".join(map(str, sys.version_info[:2])),
        "packages": {name: _version(name) for name in NEEDED},
        "source": source_digest(),
        "reads": False,
        "writes": False,
        "answer": f"{question.token}-{os.urandom(4).hex()}",
        "data": "",
        "gpus": [],
    }
    folder = Path(question.folder)
    with suppress(OSError):
        seen["reads"] = (folder / question.token).read_text(encoding="utf-8") == question.token
    with suppress(OSError):
        (folder / seen["answer"]).touch()
        seen["writes"] = True
    if question.data:
        seen["data"] = _digest_at(Path(question.data))
    if question.gpus:
        from evolve.engine.devices import ThisMachine

        seen["gpus"] = [asdict(gpu) for gpu in ThisMachine().gpus()]
    return seen


def _version(name: str) -> str:
    """Version without what tells the build: a machine with GPUs has another."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""


def _digest_at(data: Path) -> str:
    from evolve.engine.shipping import cheap_digest

    try:
        return cheap_digest(data) if data.exists() else ""
    except OSError:
        return ""


def source_digest() -> str:
    """Digest of the source of `evolve` and `model` that this process imports."""
    import evolve
    import model

    digest = hashlib.sha256()
    for package in (evolve, model):
        root = Path(next(iter(package.__path__)))
        for path in sorted(root.rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check(
    name: str,
    seen: dict[str, Any],
    ours: dict[str, Any],
    question: Question,
    answers: Sequence[str] = (),
) -> None:
    """Compare what a machine sees with what this one does.

    Parameters
    ----------
    name : str
        Of the machine.
    seen, ours : dict
        From `look`.
    question : Question
    answers : sequence of str
        Names in the folder, as seen here.

    Raises
    ------
    EvolveError
        At the first difference that would break a trial; it says how to mend it.
    """
    if seen["python"] != ours["python"]:
        what = f"Python {seen['python']} runs there, and {ours['python']} here"
        raise EvolveError(what, name, "start Ray there from an environment like this one")
    for package, version in seen["packages"].items():
        here = ours["packages"][package]
        if not version or (package in SAME and version != here):
            what = f"{package} {version}" if version else f"no {package}"
            raise EvolveError(
                f"{what} is installed there, and {here} here",
                name,
                "install evolve's requirements there: pip install -c constraints.txt evolve-yolo",
            )
    if seen["source"] != ours["source"]:
        raise EvolveError(
            "evolve's code is not the same there as here",
            name,
            "another copy hides the one that was sent: look for folders 'evolve' or 'model' in "
            f"{Path.cwd()} there",
        )
    if not (seen["reads"] and seen["writes"] and seen["answer"] in answers):
        fault = "cannot be written" if seen["reads"] else "is not the same, or not there,"
        raise EvolveError(
            f"the run folder {fault} on that machine: {question.folder}",
            name,
            "give --out a path on a file system that all machines share at the same place",
        )
    if question.data and seen["data"] != ours["data"]:
        fault = "are not the same" if seen["data"] else "cannot be read"
        raise EvolveError(
            f"the data {fault} on that machine: {question.data}",
            name,
            "put them on a file system that all machines share, or send them with --ship-data",
        )
