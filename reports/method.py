"""How a run was made, told from its manifest; what the manifest lacks is left out."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.analysis.phrases import drawn_of
from evolve.analysis.surrogate import MOST_TRIALS
from evolve.findings import Final, Findings
from evolve.store.records import RunRecord
from reports.summary import Summary
from reports.text import TIMES, clean, listed, plural


@dataclass(frozen=True)
class Method:
    """A paragraph for the reader, facts for whoever repeats the run, and notes on the data."""

    paragraph: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


def describe_method(run: RunRecord, found: Findings | None = None) -> Method:
    """Tell the method of `run`, all text clean and not yet escaped."""
    manifest = run.manifest
    sentences = (training_sentence(manifest, "Each trial"), _search(run))
    return compose(manifest, *sentences, _objective(manifest), *_found(found))


def compose(manifest: Mapping[str, Any], *sentences: str) -> Method:
    """A method from its sentences, of which some may be empty, and from its manifest."""
    return Method(
        paragraph=" ".join(sentence for sentence in sentences if sentence),
        facts=tuple((term, text) for term, text in _facts(manifest) if text),
        notes=tuple(clean(note) for note in _section(manifest, "data").get("notes") or ()),
        settings=tuple(_flat(_section(manifest, "train"))),
    )


def _found(found: Findings | None) -> tuple[str, ...]:
    """How the winner was confirmed, and how importance and path were found."""
    said = []
    if found is not None and found.final is not None:
        said.append(_comparison(found.final, on_front=found.front is not None))
    if found is not None and not found.importances.frame.empty:
        said.append(
            "Importances are those of Optuna's PED-ANOVA and fANOVA, with percentile intervals "
            "of a bootstrap over the trials."
        )
    if found is not None and found.path is not None and found.path.steps:
        said.append(
            "The ablation path (Fawcett and Hoos, 2016) follows a Gaussian process that was "
            f"fitted to {drawn_of(min(found.path.trials, MOST_TRIALS), found.path.trials)}."
        )
    return tuple(said)


def _comparison(final: Final, *, on_front: bool) -> str:
    candidates = plural(len(final.rows) - 1, "candidate")
    seeds = f"{plural(final.seeds, 'fresh seed')}{' each' if final.seeds else ''}"
    images = "" if final.no_images else " and the images, which were resampled jointly"
    picked = "picked by values that lean on those of similar trials"
    if on_front:
        picked = "non-dominated trials that cover most of the front"
    return (
        f"In the end {candidates}, {picked}, and the "
        f"defaults were trained in full with {seeds}, and measured on {clean(final.judged_on)}. "
        "The winner has the highest mean on val. Differences are paired by seed; their 95 % "
        f"intervals allow for the seeds{images}."
    )


def reuse_commands(
    run: RunRecord, summary: Summary, final: Final | None = None
) -> tuple[tuple[str, str], ...]:
    """Say what can be done with the result: pairs of purpose and shell command."""
    folder = run_path(run)
    resume = ("Continue this run, or add trials to it", f"evolve resume {shlex.quote(folder)}")
    if summary.best is None:
        return (resume,)
    data = shlex.quote(data_path(run))
    config = shlex.quote(f"{folder}/best.yaml")
    place, split = f"trials/{summary.best.number:05d}/best.pt", ""
    if final is not None and final.winner in final.folders:
        place = f"{final.folders[final.winner]}/last.pt"
        split = f" --split {shlex.quote(clean(final.judged_on))}"
    weights, which = shlex.quote(clean(f"{folder}/{place}")), summary.role
    return (
        (
            f"Train again with the configuration of the {which}"
            if split
            else "Train again with the best configuration",
            f"evolve train --config {config} --data {data}",
        ),
        (
            f"Measure weights of the {which}" if split else "Measure the best weights",
            f"evolve eval --weights {weights} --data {data}{split}",
        ),
        ("Detect in an image of yours", f"evolve detect --weights {weights} image.jpg"),
        resume,
    )


def run_path(run: RunRecord) -> str:
    """Run folder as one would type it."""
    return typed_path(run.folder)


def typed_path(folder: Path) -> str:
    """A folder as one would type it: from `runs` on where it lies in such a folder."""
    return clean(f"runs/{folder.name}" if folder.parent.name == "runs" else folder.as_posix())


def data_path(run: RunRecord) -> str:
    """Value for ``--data``."""
    return typed_data(run.manifest)


def typed_data(manifest: Mapping[str, Any]) -> str:
    """Value for ``--data``: the stored path, else the name, else the embedded set."""
    data = _section(manifest, "data")
    return clean(data.get("path") or data.get("name") or "digits")


def data_text(manifest: Mapping[str, Any]) -> str:
    """Tell the data set with its number of classes and images: `digits, 10 classes, ...`."""
    data = _section(manifest, "data")
    parts = (clean(data.get("name")), _classes(data), _images(data))
    return ", ".join(part for part in parts if part)


def model_text(manifest: Mapping[str, Any]) -> str:
    """Model with its input size."""
    train = _section(manifest, "train")
    return ", ".join(part for part in (clean(train.get("model")), _size(train)) if part)


def _section(manifest: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}


def _size(train: dict[str, Any]) -> str:
    size = train.get("image_size")
    if size is None:
        return ""
    return f"{size} {TIMES} {size} px" if isinstance(size, int) else "input size from the data"


def _images(data: dict[str, Any]) -> str:
    images = _section(data, "images")
    counts = [f"{count:,} {clean(split)}" for split, count in images.items() if count]
    return f"{listed(counts)} images" if counts else ""


def _classes(data: dict[str, Any]) -> str:
    count = len(data.get("classes") or ())
    return f"{count:,} class{'' if count == 1 else 'es'}" if count else ""


def training_sentence(manifest: Mapping[str, Any], subject: str) -> str:
    """Tell what `subject` trains on which data; empty where that is not known."""
    train, data = _section(manifest, "train"), _section(manifest, "data")
    if not train.get("model") or not data.get("name"):
        return ""
    epochs, batch = train.get("epochs"), train.get("batch_size")
    length = f" for {plural(epochs, 'epoch')}" if isinstance(epochs, int) else ""
    batches = f" in batches of {clean(batch)}" if batch else ""
    return (
        f"{subject} trains {_with_detail(train['model'], _size(train))}"
        f"{length}{batches} on {_with_detail(data['name'], _classes(data), _images(data))}."
    )


def _with_detail(name: Any, *details: str) -> str:
    inner = "; ".join(detail for detail in details if detail)
    return f"{clean(name)} ({inner})" if inner else clean(name)


def _search(run: RunRecord) -> str:
    manifest = run.manifest
    sampler, scheduler = clean(manifest.get("sampler")), clean(manifest.get("scheduler"))
    if not sampler:
        return ""
    seed = f" (seed {clean(manifest['seed'])})" if "seed" in manifest else ""
    searched = f"The {sampler} sampler{seed} searched {plural(len(run.parameters), 'parameter')}"
    began = _warm_start(manifest)
    return f"{searched}{_stopping(scheduler)}. {began}{_asked(manifest.get('trials'))}"


def _warm_start(manifest: dict[str, Any]) -> str:
    """The earlier studies that the search began with."""
    found = manifest.get("warm_start")
    studies = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    names = [
        f"{clean(one.get('name'))} ({plural(len(one.get('trials') or ()), 'trial')})"
        for one in studies
    ]
    return f"It began with what was found in {listed(names)}. " if names else ""


def _stopping(scheduler: str) -> str:
    if not scheduler:
        return ""
    if scheduler == "none":
        return "; no trial was stopped early"
    if scheduler == "pbt":
        return (
            "; in population-based training the worst quarter went on from checkpoints of the "
            "best, with changed parameters"
        )
    if scheduler == "promote":
        return "; all trials were paused early, and the best of them trained in full"
    return f"; the {scheduler} scheduler stopped weak trials early"


def _asked(trials: Any) -> str:
    default = "trial 0 is the default configuration."
    if not isinstance(trials, int):
        return f"T{default[1:]}"
    return f"{plural(trials, 'trial')} {'was' if trials == 1 else 'were'} asked for; {default}"


def _objective(manifest: Mapping[str, Any]) -> str:
    objective = clean(manifest.get("objective", "AP"))
    meaning = " (COCO: mean over IoU 0.50 to 0.95)" if objective == "AP" else ""
    alone = f"The objective is {objective}{meaning} on the val images"
    cost = clean(manifest.get("cost"))
    if not cost:
        return f"{alone}."
    return (
        f"{alone}, and beside it {cost}, which is lowered: what counts is the set of trials that "
        f"no other dominates. Importances and the search history are of {objective}."
    )


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, hardware = _section(manifest, "data"), _section(manifest, "hardware")
    return [
        ("Command", _command(manifest.get("command"))),
        ("Created", clean(manifest.get("created"))),
        ("Data", clean(data.get("path") or data.get("name"))),
        ("Data digest", clean(data.get("digest"))),
        ("Classes", clean(", ".join(clean(c) for c in data.get("classes") or ()), longest=600)),
        ("Engine", _engine(manifest)),
        ("Hardware", _hardware(hardware)),
        ("Versions", _versions(_section(manifest, "versions"))),
        ("Git commit", _commit(_section(manifest, "git"))),
    ]


def _command(command: Any) -> str:
    if isinstance(command, list | tuple):
        return clean(shlex.join(clean(part) for part in command))
    return clean(command)


def _engine(manifest: Mapping[str, Any]) -> str:
    engine, workers = clean(manifest.get("engine")), manifest.get("workers")
    return f"{engine}, {plural(workers, 'worker')}" if isinstance(workers, int) else engine


def _hardware(hardware: dict[str, Any]) -> str:
    cores, memory = hardware.get("cores"), hardware.get("memory_gb")
    parts = [
        clean(hardware.get("cpu")),
        plural(cores, "core") if isinstance(cores, int) else "",
        f"{memory:.0f} GB memory" if isinstance(memory, int | float) else "",
        listed([_gpu(gpu) for gpu in hardware.get("gpus") or ()]) or "no GPU" if hardware else "",
    ]
    return ", ".join(part for part in parts if part)


def _gpu(gpu: Any) -> str:
    return clean(gpu.get("name", gpu) if isinstance(gpu, dict) else gpu)


def _versions(versions: dict[str, Any]) -> str:
    return ", ".join(f"{clean(name)} {clean(text)}" for name, text in versions.items() if text)


def _commit(git: dict[str, Any]) -> str:
    commit = clean(git.get("commit"))
    return f"{commit} with uncommitted changes" if commit and git.get("dirty") else commit


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            found += _flat(value, f"{path}.")
        else:
            found.append((clean(path), clean(value, longest=120)))
    return found
