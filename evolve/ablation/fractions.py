"""Two-level fractions of resolution IV: which rows of a full factorial are trained.

Levels are counted as bits, 1 where an ingredient is on. A generated factor is on where an odd
number of the factors in its word is, so that the row without any ingredient is always there.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAST_FACTORS, MOST_FACTORS = 4, 16
LETTERS = "ABCDEFGHJKLMNOPQ"  # without I, which stands for the row mean

# Words of the generated factors, in the letters of the free ones. NIST/SEMATECH e-Handbook of
# statistical methods, table 3.17 (up to 11 factors); beyond, all words have an odd number of
# letters, so that those of the defining relation have an even one: no less than four.
_WORDS = {
    4: "ABC",
    5: "ABCD",
    6: "ABC BCD",
    7: "ABC BCD ACD",
    8: "BCD ACD ABC ABD",
    9: "BCDE ACDE ABDE ABCE",
    10: "ABCD ABCE ABDE ACDE BCDE",
}
_ODD_WORDS = "ABC BCD CDE ACD ADE BDE ABD ABE ACE BCE ABCDE"

Word = frozenset[str]


@dataclass(frozen=True)
class Fraction:
    """A regular fraction of all combinations of factors.

    Attributes
    ----------
    factors : tuple of str
        The free ones first.
    generators : tuple of (factor, word)
        The generated ones, each on where an odd number of its word is.
    """

    factors: tuple[str, ...]
    generators: tuple[tuple[str, Word], ...]

    def subsets(self) -> Iterator[frozenset[str]]:
        """Factors that are on, row by row: none first."""
        free = self.factors[: len(self.factors) - len(self.generators)]
        for levels in itertools.product((False, True), repeat=len(free)):
            on = {factor for factor, level in zip(free, levels, strict=True) if level}
            made = {factor for factor, word in self.generators if len(word & on) % 2}
            yield frozenset(on | made)

    def relation(self) -> tuple[Word, ...]:
        """Words of the defining relation: effects that cannot be told from the mean."""
        words = [frozenset({factor, *word}) for factor, word in self.generators]
        found: list[Word] = []
        for word in words:  # every product of some of them
            found += [word, *(word ^ other for other in found)]
        return tuple(sorted(found, key=lambda word: (len(word), sorted(map(self._at, word)))))

    @property
    def resolution(self) -> int:
        """Letters of the shortest word; 4: main effects are clear of pairs, pairs are not."""
        return min(map(len, self.relation()))

    def aliases(self, highest: int = 2) -> dict[Word, tuple[Word, ...]]:
        """Effects of up to so many factors, each with the others of them that it is mixed with."""
        effects = [
            frozenset(effect)
            for order in range(1, highest + 1)
            for effect in itertools.combinations(self.factors, order)
        ]
        known, relation = set(effects), self.relation()
        return {
            effect: tuple(effect ^ word for word in relation if effect ^ word in known)
            for effect in effects
        }

    def _at(self, factor: str) -> int:
        return self.factors.index(factor)


def resolution_four(factors: Sequence[str]) -> Fraction:
    """The smallest of the standard fractions in which no main effect is mixed with a pair.

    Parameters
    ----------
    factors : sequence of str
        4 to 16 of them: 8 rows for 4, 16 for up to 8, 32 beyond.

    References
    ----------
    G. E. P. Box, J. S. Hunter and W. G. Hunter, "Statistics for experimenters", 2nd edition
    (2005), chapter 6; NIST/SEMATECH e-Handbook, section 5.3.3.4.7.
    """
    count = len(factors)
    if not LEAST_FACTORS <= count <= MOST_FACTORS:
        raise ValueError(f"{count} factors, not {LEAST_FACTORS} to {MOST_FACTORS}")
    free = 3 if count == 4 else 4 if count <= 8 else 5
    words = _WORDS.get(count, _ODD_WORDS).split()[: count - free]
    name = dict(zip(LETTERS, factors, strict=False))
    generators = zip(factors[free:], words, strict=True)
    return Fraction(
        tuple(factors),
        tuple((factor, frozenset(name[letter] for letter in word)) for factor, word in generators),
    )
