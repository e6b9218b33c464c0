"""What intervals over few seeds and many images hold, by what is thought of the seeds beforehand.

Run: ``python -m tests.bench.bench_interval_priors`` (a minute; nothing is drawn at random). The
seeds' variance is averaged over, weighed by a prior: that of Fisher, which the product has, times
(1 + images' part / seeds' part) to a power. 0 leaves Fisher's, 1 is the matching prior of M. Ghosh
and Y.-H. Kim, "The Behrens-Fisher problem revisited: a Bayes-frequentist synthesis", Canadian
Journal of Statistics 29 (2001) 5-17, for images' parts that are known. Prints Markdown: the error
divided by the one that was declared, the least and the most over images' parts of 0.03 to 30 times
the seeds'.
"""

import numpy as np
from scipy import optimize, special

RATIOS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
LEVELS = (0.95, 1 - 0.05 / 8, 1 - 0.05 / 16)
NODES = 64


def main():
    """Print the table."""
    print("| level | seeds | power 0 | 0.5 | 1 |\n|---|---|---|---|---|")  # noqa: T201
    for level in LEVELS:
        for seeds in (2, 3, 4, 5, 10):
            cells = [span(level, seeds - 1, power) for power in (0.0, 0.5, 1.0)]
            print(f"| {level:.4f} | {seeds} | {' | '.join(cells)} |", flush=True)  # noqa: T201


def span(level, df, power):
    """The least and the most error over the ratios, each divided by the declared."""
    found = [(1 - coverage(ratio, df, level, power)) / (1 - level) for ratio in RATIOS]
    return f"{min(found):.2f} to {max(found):.2f}"


def coverage(fixed, df, level, power):
    """Share of the intervals that hold the truth where the seeds' part is 1, images' `fixed`."""
    roots, weights = nodes()
    squares = 2 * special.gammaincinv(df / 2, roots**3) / df
    reaches = np.array([reach(square, fixed, df, level, power) for square in squares])
    held = 2 * special.ndtr(reaches / np.sqrt(1 + fixed)) - 1
    return float(held @ (weights * 3 * roots**2))


def reach(square, fixed, df, level, power):
    """Half of the width of an interval, from the mean square of the seeds."""
    roots, weights = nodes()
    drawn = square * df / np.maximum(2 * special.gammaincinv(df / 2, roots**4), 1e-100)
    weights = weights * 4 * roots**3 * (1 + fixed / drawn) ** power
    sd = np.sqrt(drawn + fixed)

    def excess(log):
        beyond = special.ndtr(-np.exp(log) / sd) @ weights / weights.sum()
        return np.log(beyond) - np.log((1 - level) / 2)

    high = 0.0
    while excess(high) > 0:
        high += 1
    return np.exp(optimize.brentq(excess, -20, high))


def nodes():
    """Gauss-Legendre on 0 to 1."""
    places, weights = np.polynomial.legendre.leggauss(NODES)
    return (places + 1) / 2, weights / 2


if __name__ == "__main__":
    main()
