"""Any text as LaTeX that shows just it, in ASCII, with what the LaTeX kernel has."""

import re
import unicodedata
from collections.abc import Iterator

from evolve.ablation.render import clean

LONG_WORD, PART = 24, 12  # words of more characters may be broken into parts
CHECK_MARK = r"\checkmark"

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\`{}",
    '"': r"\textquotedblright{}", "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
_TEXT = {
    "\u2713": rf"{CHECK_MARK}{{}}", "\u2714": rf"{CHECK_MARK}{{}}",
    "\u2010": "-", "\u2011": "-", "\u2012": "--", "\u2013": "--", "\u2014": "---", "\u2015": "---",
    "\u2018": r"\textquoteleft{}", "\u2019": r"\textquoteright{}",
    "\u201c": r"\textquotedblleft{}", "\u201d": r"\textquotedblright{}", "\u2026": r"\ldots{}",
    "\u2020": r"\dag{}", "\u2021": r"\ddag{}", "\xa7": r"\S{}", "\xb6": r"\P{}",
    "\xa9": r"\copyright{}", "\xa3": r"\pounds{}", "\xa1": r"\textexclamdown{}", "\xad": "",
    "\xbf": r"\textquestiondown{}", "\xdf": r"\ss{}", "\xe6": r"\ae{}", "\xc6": r"\AE{}",
    "\u0153": r"\oe{}", "\u0152": r"\OE{}",
    "\xf8": r"\o{}", "\xd8": r"\O{}", "\u0142": r"\l{}", "\u0141": r"\L{}", "\u0131": r"\i{}",
}  # fmt: skip
_MATH = {
    "\u2212": "-", "\xb1": r"\pm", "\u2213": r"\mp", "\xd7": r"\times", "\xf7": r"\div",
    "\xb7": r"\cdot", "\u2022": r"\bullet", "\u2264": r"\le", "\u2265": r"\ge", "\u2260": r"\ne",
    "\u2248": r"\approx", "\u223c": r"\sim", "\u221e": r"\infty", "\u221a": r"\surd",
    "\u2211": r"\sum", "\u220f": r"\prod", "\u2206": r"\Delta", "\xb0": r"^{\circ}",
    "\xb5": r"\mu", "\u2190": r"\leftarrow", "\u2191": r"\uparrow", "\u2192": r"\rightarrow",
    "\u2193": r"\downarrow", "\u2194": r"\leftrightarrow", "\u21d2": r"\Rightarrow",
    "\xac": r"\neg", "\u2208": r"\in", "\u2205": r"\emptyset", "\u2229": r"\cap",
    "\u222a": r"\cup", "\u2227": r"\wedge", "\u2228": r"\vee", "\u25cb": r"\circ",
    "\u2032": "^{\\prime}", "\xbd": "1/2", "\xbc": "1/4", "\xbe": "3/4",
}  # fmt: skip
_GREEK = {  # but for those that look like Latin ones
    "small": {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota",
              "kappa", "lamda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi",
              "chi", "psi", "omega"},
    "capital": {"gamma", "delta", "theta", "lamda", "xi", "pi", "sigma", "upsilon", "phi", "psi",
                "omega"},
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
    "\u0323": "d", "\u0331": "b",
}  # fmt: skip
_FORMS = {
    "<super>": r"\textsuperscript{%s}", "<sub>": r"\textsubscript{%s}", "<wide>": "%s",
    "<narrow>": "%s", "<compat>": "%s", "<font>": "%s",
}  # fmt: skip
_LIGATURES = re.compile(r"(?<=([-,']))(?=\1)")  # in fonts: -- is a dash, '' a quote
_BREAK, _BEGIN, _END = "\0\1\2"  # no clean text has them


def latex(text: str) -> str:
    """Text from outside as one line of LaTeX, in ASCII, that runs nothing.

    What the kernel's fonts lack is told by its code point, such as ``[U+7269]``.
    """
    parted = _LIGATURES.sub(_BREAK, unicodedata.normalize("NFC", clean(text)))
    shown = "".join(map(_character, parted)).replace(_END + _BEGIN, " U+")
    return shown.replace(_BEGIN, "{[}U+").replace(_END, "{]}").replace(_BREAK, "{}")


def breakable(text: str) -> str:
    """As `latex`, with places to break words that are too long for any column."""
    words = unicodedata.normalize("NFC", clean(text)).split(" ")
    return " ".join(r"\allowbreak{}".join(map(latex, parts(word))) for word in words)


def parts(word: str) -> list[str]:
    """A word in the parts that stay together."""
    if len(word) <= LONG_WORD:
        return [word]
    return [word[i : i + PART] for i in range(0, len(word), PART)]


def _character(character: str) -> str:
    if character.isascii():
        return _SPECIAL.get(character, character)
    return next(_ways(character), f"{_BEGIN}{ord(character):04X}{_END}")


def _ways(character: str) -> Iterator[str]:
    if character in _TEXT:
        yield _TEXT[character]
    if character in _MATH:
        yield f"${_MATH[character]}$"
    yield from _greek(character)
    yield from _accented(character)
    yield from _formed(character)


def _greek(character: str) -> Iterator[str]:
    name = unicodedata.name(character, "").lower()
    size, _, letter = name.removeprefix("greek ").partition(" letter ")
    if name.startswith("greek ") and letter in _GREEK.get(size, ()):
        command = letter.replace("lamda", "lambda")
        yield f"$\\{command.capitalize() if size == 'capital' else command}$"


def _accented(character: str) -> Iterator[str]:
    base, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        yield rf"\{_ACCENTS[marks[0]]}{{{base}}}"


def _formed(character: str) -> Iterator[str]:
    """Raised and lowered digits, ligatures, wide letters: other forms of ASCII."""
    form = _FORMS.get(unicodedata.decomposition(character).split(" ")[0])
    plain = unicodedata.normalize("NFKC", character)
    if form and plain.isascii():
        yield form % "".join(_SPECIAL.get(one, one) for one in plain)
