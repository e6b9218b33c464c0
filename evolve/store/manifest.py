"""The manifest: what a run is, written before its first trial."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evolve.errors import StoreError

FORMAT = 1
RUN, ABLATION = "run", "ablation"
KINDS = {RUN: "an evolution", ABLATION: "an ablation table"}
PACKAGES = ("torch", "optuna", "ray", "numpy", "pandas", "opencv-python-headless", "pycocotools")

# A run is continued only if these agree; everything else may differ between sessions.
IDENTITY = ("objective", "cost", "seed", "sampler", "scheduler", "trainer", "train")
ABLATION_IDENTITY = (
    *("kind", "objective", "seed", "trainer", "judged_on", "code"),
    *("looks", "alpha", "region"),
)


@dataclass(frozen=True)
class Difference:
    """One value in which two manifests disagree."""

    path: str
    stored: Any
    wanted: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.stored!r} in the folder, {self.wanted!r} asked for"


def versions() -> dict[str, str]:
    """Versions of evolve, Python and the packages that numbers depend on."""
    found = {"evolve": package_version("evolve-yolo"), "python": platform.python_version()}
    return found | {name: package_version(name) for name in PACKAGES}


def package_version(name: str) -> str:
    """Installed version of a package, or 'not installed'."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and GPUs of this machine."""
    import torch

    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages * page / 2**30, 1),
        "gpus": gpus,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git_state() -> dict[str, Any]:
    """Commit of the source tree that evolve runs from, and whether it was changed since.

    Empty where evolve was installed without its repository.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "dirty": dirty}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    )
    return done.stdout.strip()


def now() -> str:
    """The present moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def kind_of(manifest: Mapping[str, Any]) -> str:
    """What a folder holds; those of before there were others hold evolutions."""
    return str(manifest.get("kind", RUN))


def check_kind(manifest: Mapping[str, Any], wanted: str, where: Path) -> None:
    """Raise a StoreError if a folder holds something else."""
    found = kind_of(manifest)
    if found != wanted:
        held = KINDS.get(found, f"something of the kind '{found}'")
        what = f"this folder holds {held}, not {KINDS[wanted]}"
        raise StoreError(what, str(where), "give the folder of another run")


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Key paths and leaves of nested dictionaries; lists count as leaves."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat


def identity(manifest: dict[str, Any], rows: Collection[str] = ()) -> dict[str, Any]:
    """The part of a manifest that makes two runs the same run, as key paths.

    Of an ablation only `rows` count: a table may grow.
    """
    if kind_of(manifest) == ABLATION:
        own = manifest.get("rows", {})
        part = {key: manifest.get(key) for key in ABLATION_IDENTITY}
        part["seeds"] = "auto" if manifest.get("seeds") == "auto" else "a number"
        part["rows"] = {key: own[key] for key in rows}
        part["data"] = {"digest": manifest.get("data", {}).get("digest")}
        return flatten(part)
    part = {key: manifest.get(key) for key in IDENTITY}
    space = manifest.get("space", {})
    part |= {key: space.get(key) for key in ("parameters", "constraints", "variant")}
    if manifest.get("scheduler") == "promote":
        part |= {key: space.get(key) for key in ("fidelity", "promote")}
    if manifest.get("warm_start"):
        part["warm_start"] = [str(prior.get("digest"))[:16] for prior in manifest["warm_start"]]
    # the same data may lie elsewhere on another machine
    part["data"] = {"digest": manifest.get("data", {}).get("digest")}
    return flatten(part)


def differences(stored: dict[str, Any], wanted: dict[str, Any]) -> list[Difference]:
    """Where the run in a folder and the run asked for disagree."""
    common = stored.get("rows", {}).keys() & wanted.get("rows", {}).keys()
    ours, theirs = identity(stored, common), identity(wanted, common)
    paths = sorted(ours.keys() | theirs.keys())
    return [
        Difference(path, ours.get(path), theirs.get(path))
        for path in paths
        if ours.get(path) != theirs.get(path)
    ]


def check_version(stored: dict[str, Any], where: Path) -> None:
    """Raise a StoreError if a run was made by a version that this one cannot know."""
    if stored.get("format", 0) > FORMAT:
        raise StoreError("this run was made by a newer version", str(where), "update evolve")


def check_same_run(stored: dict[str, Any], wanted: dict[str, Any], where: Path) -> None:
    """Raise a StoreError that lists every difference, if there is one."""
    check_version(stored, where)
    check_kind(stored, kind_of(wanted), where)
    found = differences(stored, wanted)
    if not found:
        return
    shown = [f"\n       {difference}" for difference in found[:12]]
    if len(found) > 12:
        shown.append(f"\n       and {len(found) - 12} more")
    raise StoreError(
        "this folder holds a run with another configuration" + "".join(shown),
        str(where),
        "give another folder with --out, or ask for the same configuration",
    )
