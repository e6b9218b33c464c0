"""How a table was trained and judged, told from its manifest and its findings."""

from collections.abc import Iterator, Mapping
from typing import Any

from evolve.analysis.phrases import listed, points
from evolve.analysis.sequential import levels
from evolve.findings.table import TableFindings
from reports.citations import bibtex
from reports.method import Method, compose, training_sentence
from reports.text import PLUS_MINUS, clean, plural

_OVER = {
    "seeds and images": "seeds and images",
    "seeds": "the seeds",
    "images": "the images",
}
_TESTS = {
    "moderated t": "a paired, moderated t test",
    "t": "a paired t test",
    "sign-flip": "the exact sign-flip test",
}
_ESTIMATES = {
    "full-factorial": "Main effects and interactions are contrasts over all rows of the full "
    "factorial.",
    "fractional-factorial": "Main effects and interactions are contrasts over all rows of the "
    "fractional factorial; those that its rows cannot tell apart are named together.",
    "pairs": "Interactions are what two ingredients together add beyond what each adds alone.",
    "shapley": "Shapley values are what an ingredient adds on average over the orders of "
    "switching all on.",
}
_FACTORIALS = ("full-factorial", "fractional-factorial", "pairs")


def describe_table_method(found: TableFindings) -> Method:
    """Tell the method of a table, all text clean and not yet escaped."""
    manifest = found.manifest
    return compose(
        manifest,
        training_sentence(manifest, "The baseline"),
        _rows(found),
        _objective(found),
        _intervals(found),
        _words(found),
        _looks(found),
        _ESTIMATES.get(found.table.design, "") if not found.effects.empty else "",
    )


def _rows(found: TableFindings) -> str:
    run, manifest = found.run, found.manifest
    seeds = (
        f"{run.looks[0]} to {run.looks[-1]} seeds"
        if run.seeds is None
        else plural(run.seeds, "seed")
    )
    drawn = f" (drawn from seed {clean(manifest['seed'])})" if "seed" in manifest else ""
    return (
        f"The {plural(len(found.table.rows), 'row')} of the table were trained with {seeds} each, "
        f"the same for all rows{drawn}: trainings of a seed share initialisation, order and "
        "augmentation, and rows differ in nothing but what the table says."
    )


def _objective(found: TableFindings) -> str:
    name, split = clean(found.objective), clean(found.judged_on)
    meaning = " (COCO: mean over IoU 0.50 to 0.95)" if name == "AP" else ""
    held = ", which no training saw" if split == "test" else ""
    return f"Rows are judged by {name}{meaning} of the last weights on {split}{held}."


def _intervals(found: TableFindings) -> str:
    sources = {str(one) for one in found.judged["source"].dropna()}
    over = [words for source, words in _OVER.items() if source in sources]
    if not over:
        return ""
    images = ""
    if found.images and any("images" in source for source in sources):
        images = (
            f"; the {plural(found.images, 'image')} of {clean(found.judged_on)} were resampled "
            "jointly for all trainings"
        )
    return (
        "Differences to the baseline are paired by seed; their 95 % intervals are over "
        f"{listed(over, 'or')}{images}.{_moderated(found)}"
    )


def _moderated(found: TableFindings) -> str:
    if not _is_moderated(found):
        return ""
    return (
        " The variance between the few seeds of a row is moderated by those of the other rows "
        "(Smyth 2004)."
    )


def _is_moderated(found: TableFindings) -> bool:
    return bool(found.judged["lent"].fillna(0).astype(bool).any())


def _words(found: TableFindings) -> str:
    judged, run = found.judged, found.run
    rows = int((judged["word"] != "baseline").sum())
    tests = [name for key, name in _TESTS.items() if (judged["test"] == key).any()]
    by = f" of {listed(tests, 'or')}" if tests else ""
    holm = f", after Holm's correction over {rows} rows," if rows > 1 else ""
    return (
        f"A row helps or hurts where p{by}{holm} is at most {run.alpha:g} and the interval lies "
        f"on one side of 0; it has no effect where the difference is shown, by the same rule, to "
        f"lie within {PLUS_MINUS}{points(run.region)} points; all else is undecided."
    )


def _looks(found: TableFindings) -> str:
    run = found.run
    if not run.looks:
        return ""
    parts = listed([f"{part:.3f}" for part in levels(run.looks, run.alpha)])
    return (
        "Declared before the first training, rows were judged at "
        f"{listed([str(look) for look in run.looks])} seeds, which spend {parts} of the error of "
        f"{run.alpha:g}; a row that had its word got no more seeds."
    )


def references(found: TableFindings) -> str:
    """BibTeX of what the method rests on."""
    return bibtex(_cited(found, found.manifest))


def _cited(found: TableFindings, manifest: Mapping[str, Any]) -> Iterator[str]:
    train = manifest.get("train")
    model = str(train.get("model", "")) if isinstance(train, dict) else ""
    if model.startswith("yolov4") or found.table.paper is not None:
        yield "yolov4"
    if found.objective.startswith("AP"):
        yield "coco"
    if int((found.judged["word"] != "baseline").sum()) > 1:
        yield "holm"
    if _is_moderated(found):
        yield "moderated"
    if found.table.design == "shapley":
        yield "shapley"
    if found.table.design in _FACTORIALS:
        yield "factorial"
