"""Which code trains: what must be equal for two trainings to be one and the same."""

import hashlib
from functools import cache
from pathlib import Path

from evolve.store.manifest import package_version

NUMERIC = ("torch", "numpy", "opencv-python-headless", "pycocotools")
"""Packages whose versions change the numbers of a training."""


@cache
def code_digest() -> str:
    """SHA-256, shortened, of the source and data of `model` and of what it computes with."""
    import model

    root = Path(str(model.__file__)).parent
    hashed = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            hashed.update(path.relative_to(root).as_posix().encode() + b"\0")
            hashed.update(hashlib.sha256(path.read_bytes()).digest())
    for name in NUMERIC:
        hashed.update(f"{name}={package_version(name)}\n".encode())
    return hashed.hexdigest()[:16]
