"""What intervals over few seeds and many images hold, by what is thought of the seeds beforehand.

Run: ``python -m tests.bench.bench_interval_priors`` (seconds; nothing is drawn at random). The
seeds' variance is averaged over, weighed by a prior: that of Fisher; the matching one of M. Ghosh
and Y.-H. Kim, "The Behrens-Fisher problem revisited: a Bayes-frequentist synthesis", Canadian
Journal of Statistics 29 (2001) 5-17, for images' parts that are known; its root; and the
product's. Prints Markdown: the error divided by the one that was declared, the least and the most
over images' parts of 0.01 to 100 times the seeds'.
"""

import math

import numpy as np
from scipy import special

RATIOS = np.array([0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 30, 100])
LEVELS = (0.95, 1 - 0.05 / 8, 1 - 0.05 / 16)
NODES = 96
PRIORS = {
    "Fisher": lambda ratio, _: np.ones_like(ratio),
    "Ghosh and Kim": lambda ratio, _: 1 + ratio,
    "its root": lambda ratio, _: np.sqrt(1 + ratio),
    "evolve": lambda ratio, df: (1 + 0.035 * math.sqrt(df) * ratio) ** 2,
}


def main():
    """Print the table."""
    print(f"| level | seeds | {' | '.join(PRIORS)} |")  # noqa: T201
    print("|---|---" + "|---" * len(PRIORS) + "|")  # noqa: T201
    for level in LEVELS:
        for seeds in (2, 3, 4, 5, 10):
            cells = [span(level, seeds - 1, prior) for prior in PRIORS.values()]
            print(f"| {level:.4f} | {seeds} | {' | '.join(cells)} |", flush=True)  # noqa: T201


def span(level, df, prior):
    """The least and the most error over the ratios, each divided by the declared."""
    found = [(1 - coverage(ratio, df, level, prior)) / (1 - level) for ratio in RATIOS]
    return f"{min(found):.2f} to {max(found):.2f}"


def coverage(fixed, df, level, prior):
    """Share of the intervals that hold the truth where the seeds' part is 1, images' `fixed`."""
    roots, weights = nodes()
    squares = 2 * special.gammaincinv(df / 2, roots**3) / df
    reach = reaches(squares, fixed, df, level, prior)
    held = 2 * special.ndtr(reach / np.sqrt(1 + fixed)) - 1
    return float(held @ (weights * 3 * roots**2))


def reaches(squares, fixed, df, level, prior):
    """Half of the widths of the intervals, from mean squares of the seeds, all by halving."""
    roots, weights = nodes()
    drawn = df / np.maximum(2 * special.gammaincinv(df / 2, roots**4), 1e-100)
    drawn = squares[:, None] * drawn
    weights = weights * 4 * roots**3 * prior(fixed / drawn, df)
    weights /= weights.sum(axis=1, keepdims=True)
    sd = np.sqrt(drawn + fixed)
    low, high = np.full(len(squares), -20.0), np.full(len(squares), 60.0)
    for _ in range(50):
        middle = (low + high) / 2
        beyond = (special.ndtr(-np.exp(middle)[:, None] / sd) * weights).sum(axis=1)
        is_short = beyond > (1 - level) / 2
        low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
    return np.exp(high)


def nodes():
    """Gauss-Legendre on 0 to 1."""
    places, weights = np.polynomial.legendre.leggauss(NODES)
    return (places + 1) / 2, weights / 2


if __name__ == "__main__":
    main()
