"""What is said of a table in sentences, and how far it is."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from evolve.analysis.phrases import listed, plural
from evolve.analysis.verdict import LEFT_OUT
from evolve.findings.table_records import TableRun
from evolve.store.comparison import ComparisonRecord

_ENDED = ("COMPLETE", "FAIL")


def sentences_of(judged: pd.DataFrame, *, is_provisional: bool = False) -> Iterator[str]:
    """The whole table first; rows without a pair that may still get one have nothing to say.

    What is provisional says so.
    """
    others = judged[judged["word"] != "baseline"]
    told = others[(others["pairs"] > 0) | (others["word"] == "failed")]
    if told.empty:
        return
    said, shared = list(told["sentence"]), ""
    sources = {str(one) for one in told["source"].dropna()} - {"none"}
    if len(said) > 1 and len(sources) == 1:
        shared = LEFT_OUT.get(sources.pop(), "")
    if len(others) > 1:
        summary = _summary(Counter(others["word"]), len(others))
        summary = f"So far, o{summary[1:]}" if is_provisional else summary
        yield f"{summary} {shared}".strip().replace("interval holds", "intervals hold")
    for word, one in zip(told["word"], said, strict=True):
        so_far = "So far: " if is_provisional and word != "failed" else ""
        yield f"{so_far}{one.removesuffix(shared).rstrip()}"


def _summary(words: Mapping[str, int], rows: int) -> str:
    each = {
        "helps": ("helps", "help"),
        "hurts": ("hurts", "hurt"),
        "no effect": ("has no effect", "have no effect"),
        "undecided": ("is undecided", "are undecided"),
        "failed": ("failed", "failed"),
    }
    said = [f"{words[word]} {each[word][words[word] > 1]}" for word in each if words.get(word)]
    return f"Of {rows} rows {listed(said)}."


def unfinished_of(run: TableRun, record: ComparisonRecord | None, judged: pd.DataFrame) -> str:
    """How far the trainings are; rows may share one."""
    if record is None:
        return "No training has begun."
    states = record.trainings.drop_duplicates("training")["state"]
    ended, count = int(states.isin(_ENDED).sum()), len(states)
    so_far = f"{ended} of {plural(count, 'training')} of the table have ended"
    if run.is_over:
        return f"{so_far}, and no more will be trained." if ended < count else ""
    if ended < count:
        return f"{so_far}; what is said of rows may change."
    if run.seeds is None:
        trained = judged["row"].map(record.trainings["row"].value_counts()).fillna(0)
        wanting = int((judged["seeds"] > trained).sum())
        if wanting:
            return f"{plural(wanting, 'row')} will get more seeds."
    return ""
