"""What the statistics of ablation tables promise, on synthetic studies with known truth.

Run: ``python -m tests.bench.bench_ablation_stats [--repeats 2000]`` (minutes). Prints Markdown:
how often 95 % intervals hold the truth, of lone rows, of tables, and where rows scatter unlike;
how often a table without effects has one, and how often each word is said. 60 images; `Parts` are
standard deviations in AP points that the seed, the images, and both together leave in a delta of
one seed.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from evolve.analysis.sequential import Looks
from tests.unit.analysis.synthetic import Parts, coverage, held, look_states, words

PARTS = (
    Parts(0.004, 0.0, 0.0),
    Parts(0.0, 0.004, 0.0),
    Parts(0.004, 0.0012, 0.0),
    Parts(0.004, 0.003, 0.001),
    Parts(0.004, 0.004, 0.004),
    Parts(0.002, 0.006, 0.002),
    Parts(0.0012, 0.0012, 0.008),
)
SEEDS = (2, 3, 5, 10)
ROWS = 8
UNLIKE: dict[str, dict[str, float]] = {
    "factors of 1.5 (one sd)": {"unlike": 0.4},
    "baseline twice the others": {"baseline": 2.0},
    "baseline three times": {"baseline": 3.0},
    "one row twice the others (its own)": {"first": 2.0},
    "one row three times (its own)": {"first": 3.0},
}
TRUTH = (0.02, 0.01, -0.01, 0.004, 0.001, 0.0)
LOOKS = (3, 4, 6, 8, 11, 16)
SMALL = Parts(0.0015, 0.0006, 0.0003)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    repeats = parser.parse_args(arguments).repeats
    for title, head, lines in (
        ("Share of 95 % intervals of a lone row that hold the truth", ("parts", *SEEDS),
         _coverage(1, 2 * repeats)),
        (f"The same of tables of {ROWS} rows", ("parts", *SEEDS), _coverage(ROWS, repeats // 4)),
        (f"The same where rows scatter unlike, and tables of {ROWS} rows without effect that name "
         "one", ("rows", "parts", *SEEDS), _unlike(repeats // 2)),
        (f"Tables of {ROWS} rows without effect that name one", ("parts", *SEEDS),
         _false(repeats)),
        ("Tables with effects of the region that say none", ("parts", *SEEDS), _none(repeats)),
        ("Words, percent", ("true effect", "seeds", "helps", "hurts", "no effect", "undecided"),
         _words(repeats // 2)),
        (f"Looks at {LOOKS} seeds", ("spending", "parts", "a word on 4 rows without effect",
         "2 points found", "1 point found", "no effect found", "seeds a row",
         "intervals that hold the truth"), _looks(repeats // 4)),
    ):  # fmt: skip
        print(f"\n### {title}\n\n{_line(head)}\n{_line(['---'] * len(head))}")  # noqa: T201
        for line in lines:
            print(_line(line), flush=True)  # noqa: T201


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _name(parts: Parts) -> str:
    return f"{100 * parts.seed:.2f} / {100 * parts.images:.2f} / {100 * parts.both:.2f}"


def _coverage(rows: int, repeats: int) -> Iterator[list[object]]:
    for parts in PARTS:
        found = [coverage(n, parts, repeats, np.random.default_rng(n), rows) for n in SEEDS]
        yield [_name(parts), *(f"{share:.3f}" for share in found)]


def _unlike(repeats: int) -> Iterator[list[object]]:
    for name, drawn in UNLIKE.items():
        for parts in (PARTS[0], PARTS[3]):
            cells = []
            for seeds in SEEDS:
                rng = np.random.default_rng(seeds)
                shares = held(seeds, parts, repeats, rng, ROWS, **drawn).mean(axis=0)
                share = shares[0] if "first" in drawn else shares.mean()
                said = words([0.0] * ROWS, seeds, parts, repeats, rng, **drawn)
                wrong = np.isin(said, ("helps", "hurts")).any(axis=1).mean()
                cells.append(f"{share:.3f}, {wrong:.3f}")
            yield [name, _name(parts), *cells]


def _false(repeats: int) -> Iterator[list[object]]:
    for parts in PARTS[:5]:
        cells = []
        for seeds in SEEDS:
            found = words([0.0] * ROWS, seeds, parts, repeats // 2, np.random.default_rng(seeds))
            cells.append(f"{np.isin(found, ('helps', 'hurts')).any(axis=1).mean():.3f}")
        yield [_name(parts), *cells]


def _none(repeats: int) -> Iterator[list[object]]:
    for parts in (SMALL, Parts(0.0005, 0.0004, 0.0002)):
        cells = []
        for seeds in SEEDS:
            truth = [0.002, -0.002] * 2
            found = words(truth, seeds, parts, repeats // 2, np.random.default_rng(seeds))
            cells.append(f"{(found == 'no effect').any(axis=1).mean():.3f}")
        yield [_name(parts), *cells]


def _words(repeats: int) -> Iterator[list[object]]:
    for seeds in (3, 5, 10):
        found = words(TRUTH, seeds, SMALL, repeats, np.random.default_rng(seeds))
        for row, effect in enumerate(TRUTH):
            said = [
                f"{100 * (found[:, row] == word).mean():.0f}"
                for word in ("helps", "hurts", "no effect", "undecided")
            ]
            yield [f"{100 * effect:.1f}", seeds, *said]


def _looks(repeats: int) -> Iterator[list[object]]:
    for power, name in ((1.0, "t"), (2.0, "t^2"), (None, "O'Brien-Fleming")):
        looks = Looks(LOOKS, power=power)
        for parts in (Parts(0.004, 0.0, 0.0), PARTS[3], SMALL):
            yield [name, _name(parts), *_of_looks(looks, parts, repeats)]


def _of_looks(looks: Looks, parts: Parts, repeats: int) -> list[str]:
    null = look_states([0.0] * 4, looks, parts, repeats, np.random.default_rng(0))
    wrong = np.mean([state.count("helps", "hurts") > 0 for state in null])
    truth = (0.02, 0.01, 0.0, 0.0)
    states = list(look_states(truth, looks, parts, repeats, np.random.default_rng(1)))
    found = [
        np.mean([state.stands.get(row) == word for state in states])
        for row, word in (("1", "helps"), ("2", "helps"), ("3", "no effect"))
    ]
    seeds = np.mean([list(state.look.values()) for state in states])
    held = np.mean([
        delta.low <= truth[int(row) - 1] <= delta.high
        for state in states
        for row, delta in state.deltas.items()
    ])  # fmt: skip
    return [f"{wrong:.3f}", *(f"{share:.2f}" for share in found), f"{seeds:.1f}", f"{held:.3f}"]


if __name__ == "__main__":
    main()
