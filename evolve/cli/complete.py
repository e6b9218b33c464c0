"""Values that a shell completes: names that come with evolve, and run folders.

Names are found by listing files where that does; those that the program itself has to tell, which
takes it seconds, are kept in the user's cache folder until the program changes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

import evolve
from model.harmless import printable

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
SAMPLERS = ("genetic", "tpe", "cmaes", "gp", "nsga2", "qmc", "random")
SCHEDULERS = ("asha", "hyperband", "pbt", "median", "promote", "none")
FORMAT = 1


def _starting(names: Iterable[str], incomplete: str, kind: str = "plain") -> list[CompletionItem]:
    return [CompletionItem(name, type=kind) for name in names if name.startswith(incomplete)]


def _of(find: Callable[[], Iterable[str]], *, or_file: bool = False) -> Complete:
    """What completes one of the names that `find` gives, or a file of the user's."""

    def complete(_ctx: click.Context, _param: click.Parameter, text: str) -> list[CompletionItem]:
        return _starting(find(), text) or ([CompletionItem(text, type="file")] if or_file else [])

    return complete


def bundled(folder: str = ".") -> list[str]:
    """Stems of the files that come with evolve in a folder of search spaces."""
    place = Path(evolve.__file__).parent.parent / "search_spaces" / folder
    return sorted(path.stem for path in place.glob("*.yaml"))


def run_folders() -> list[str]:
    """Folders below runs/ that hold a run."""
    return _shown(path.parent for path in Path("runs").glob("*/manifest.json"))


def _weights_files() -> list[str]:
    return _shown(Path("runs").glob("*/best.pt"))


def _shown(paths: Iterable[Path]) -> list[str]:
    """Paths that a shell and a terminal can take as they are."""
    return sorted(name for path in paths if printable(name := path.as_posix()) == name)


def _run(_ctx: click.Context, _param: click.Parameter, text: str) -> list[CompletionItem]:
    return _starting(run_folders(), text) or [CompletionItem(text, type="dir")]


def _ingredients(_ctx: click.Context, _param: click.Parameter, text: str) -> list[CompletionItem]:
    """The last of several with commas between, each perhaps with a minus before it."""
    head, comma, last = text.rpartition(",")
    minus = "-" if last.startswith("-") else ""
    keys = (f"{head}{comma}{minus}{key}" for key in words()["ingredients"])
    return _starting(keys, text)


def _setting(_ctx: click.Context, _param: click.Parameter, text: str) -> list[CompletionItem]:
    """A key path, or behind the equals sign one of its choices."""
    known = words()["keys"]
    path, equals, _ = text.partition("=")
    if equals:
        return _starting((f"{path}={value}" for value in known.get(path, ())), text)
    return _starting((f"{key}=" for key in known), text)


space = _of(bundled, or_file=True)
table = _of(lambda: bundled("tables"), or_file=True)
shown_table = _of(lambda: [*bundled("tables"), *words()["paper_tables"]], or_file=True)
model = _of(lambda: words()["models"])
ingredient = _of(lambda: words()["ingredients"])
family = _of(lambda: words()["families"])
sampler = _of(lambda: SAMPLERS)
scheduler = _of(lambda: SCHEDULERS)
weights = _of(_weights_files, or_file=True)
ingredients: Complete = _ingredients
setting: Complete = _setting
run: Complete = _run


# -- names that the program has to tell ------------------------------------------------------


def words() -> dict[str, Any]:
    """Models, ingredients with their families, key paths with their choices, and paper's tables.

    From the user's cache folder, where they are kept until a file of the program changes.
    """
    path, key = _cache_file(), _fingerprint()
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = find_words() | {"key": key}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.replace(path)
    except OSError:  # then they are found again the next time
        pass
    return found


def find_words() -> dict[str, Any]:
    """As `words`, from the program itself."""
    from typing import get_args

    from evolve.ablation.paper import LOGS, NAMES
    from model.config import key_paths
    from model.ingredient import Family, catalogue
    from model.zoo import classifiers, zoo

    return {
        "models": [*zoo, *classifiers],
        "ingredients": sorted(catalogue()),
        "families": list(get_args(Family)),
        "keys": {path: _choices(path) for path in sorted(key_paths())},
        "paper_tables": [*NAMES.values(), *LOGS],
    }


def _choices(path: str) -> list[str]:
    """Values that a key of the training configuration may have, where they are words."""
    from model.config import TrainConfig

    kind: Any = TrainConfig
    for part in path.split("."):
        field = getattr(kind, "model_fields", {}).get(part)
        if field is None:
            return []
        kind = field.annotation
    return [str(value) for value in _literals(kind)]


def _literals(kind: Any) -> Iterator[Any]:
    from typing import Literal, get_args, get_origin

    if kind is bool:
        yield from ("true", "false")
    elif get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        for one in get_args(kind):
            yield from _literals(one)


def _cache_file() -> Path:
    override = os.environ.get("EVOLVE_CACHE_DIR")
    if override:
        return Path(override) / f"words-{FORMAT}.json"
    from platformdirs import user_cache_path

    return user_cache_path("evolve") / f"words-{FORMAT}.json"


def _fingerprint() -> str:
    """Digest of the names, sizes and times of the files that the words come from."""
    here = Path(__file__).parents[2]
    files = sorted([*here.glob("model/**/*.py"), here / "evolve/ablation/paper.py"])
    digest = hashlib.sha256()
    for path in files:
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
