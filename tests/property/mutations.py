"""Spoil samples of any format in ways that readers have to expect from outside data.

All is drawn from one `random.Random`, so a seed tells the whole input.
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Tree = Any
Place = tuple[Any, Any]  # a container and a key of it

LONG = "x" * 20_000
TEXTS = ("", " ", "../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b", "\ud800", "\u202etxt.exe",
         "\x1b[2J", "line\nbreak", "nan", "1e999", "9" * 5000, "${HOME}", "{}", "%s%n", LONG,
         "__class__", "true", "0", "-1", "é" * 300)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 255, 2**31, 2**63, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e-320, 1e308,
           float("nan"), float("inf"), float("-inf"))  # fmt: skip
PIECES = (b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"../", b"/etc/passwd", b"nan", b"1e999",
          b"-1", b"null", b"[]", b"{}", b"[" * 3000, b'{"a":' * 3000, b'"', b"\n", b"\r", b"\t",
          b": ",
          b"- ", b"&a [*a, *a]", b"*a", b"<<: *a", b"!!python/object:a",
          b"!!set {",
          b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<", b"&lt;", b"]]>", b"9" * 5000,
          b"=", b"[net]", b"#", b"\x1b[2J", b"\xed\xa0\x80", b"images", b"---",
          b"...")  # fmt: skip


def spoil_tree(tree: Tree, rng: random.Random) -> Tree:
    """A copy of a JSON tree with one to three changes of structure or value."""
    root = [json.loads(json.dumps(tree))]
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(root))
        holder, key = rng.choice(places)
        rng.choice(_CHANGES)(holder, key, rng)
    return root[0]


def spoil_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed at one to four places, or cut, or swapped for noise behind their head."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(spoilt) + 1)
        length = rng.choice((0, 1, 4, 64))
        spoilt[at : at + length] = rng.choice((rng.choice(PIECES), rng.randbytes(length)))
    how = rng.random()
    if how < 0.1:
        return bytes(spoilt[: rng.randrange(len(spoilt) + 1)])
    if how < 0.2:
        head = rng.choice((0, 8, 24, 100))
        return bytes(spoilt[:head]) + rng.randbytes(rng.choice((0, 10, 1000)))
    return bytes(spoilt)


def spoil_words(text: str, rng: random.Random, words: tuple[str, ...] = ()) -> bytes:
    """Text with some of its words swapped, and some lines doubled, moved or left out."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines))
        rng.choice(_LINE_CHANGES)(lines, at, rng, words)
        lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def to_json(tree: Tree) -> bytes:
    """JSON as hostile as the tree: NaN, lone surrogates and endless numbers are written."""
    return json.dumps(tree).encode()


def any_value(rng: random.Random) -> Tree:
    """A value that few readers await."""
    kinds: tuple[Callable[[], Tree], ...] = (
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice(TEXTS),
        lambda: rng.choice((None, True, False)),
        lambda: rng.choice(([], {}, [[]], [None], {"": None}, [0] * 2000)),
        lambda: _nested(rng.choice((5, 40, 300))),
    )
    return rng.choice(kinds)()


def _nested(depth: int) -> Tree:
    tree: Tree = 0
    for level in range(depth):
        tree = [tree] if level % 2 else {"a": tree}
    return tree


def _places(tree: Tree) -> Iterator[Place]:
    """Every place of a tree, at most a few hundred: the first of long lists stand for all."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree[:20])
    for key, value in list(pairs):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _set(holder: Tree, key: Any, rng: random.Random) -> None:
    holder[key] = any_value(rng)


def _remove(holder: Tree, key: Any, _: random.Random) -> None:
    if isinstance(holder, dict):
        del holder[key]
    elif len(holder) > 1:
        holder.pop(key)


def _rename(holder: Tree, key: Any, rng: random.Random) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(TEXTS)] = holder.pop(key)


def _double(holder: Tree, key: Any, _: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder[f"{key}_"] = holder[key]


def _wrap(holder: Tree, key: Any, rng: random.Random) -> None:
    holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, str(holder[key])))


def _number(holder: Tree, key: Any, rng: random.Random) -> None:
    kept = holder[key]
    holder[key] = kept if isinstance(kept, str | dict | list) else rng.choice(NUMBERS)


def _text(holder: Tree, key: Any, rng: random.Random) -> None:
    if isinstance(holder[key], str):
        holder[key] = rng.choice((rng.choice(TEXTS), holder[key] + rng.choice(TEXTS)))


_CHANGES = (_set, _set, _remove, _remove, _rename, _double, _wrap, _number, _text)


def _swap_word(lines: list[str], at: int, rng: random.Random, words: tuple[str, ...]) -> None:
    parts = lines[at].split(" ")
    number = rng.choice((str(rng.choice(NUMBERS[:9])), "nan", "1e999", "0x1F", "1_0"))
    parts[rng.randrange(len(parts))] = rng.choice((number, rng.choice(TEXTS), *words))
    lines[at] = " ".join(parts)


def _drop_line(lines: list[str], at: int, _: random.Random, __: tuple[str, ...]) -> None:
    lines.pop(at)


def _double_line(lines: list[str], at: int, _: random.Random, __: tuple[str, ...]) -> None:
    lines.insert(at, lines[at])


def _move_line(lines: list[str], at: int, rng: random.Random, _: tuple[str, ...]) -> None:
    lines.insert(rng.randrange(len(lines)), lines.pop(at))


def _indent(lines: list[str], at: int, rng: random.Random, _: tuple[str, ...]) -> None:
    lines[at] = " " * rng.choice((1, 2, 7)) + lines[at]


def _new_value(lines: list[str], at: int, rng: random.Random, _: tuple[str, ...]) -> None:
    """Another value behind the first ':' or '=' of a line."""
    for mark in (": ", "="):
        head, found, _tail = lines[at].partition(mark)
        if found:
            value = any_value(rng)
            text = value if isinstance(value, str) else _plain(value)
            lines[at] = f"{head}{mark}{text}"
            return


def _plain(value: Tree) -> str:
    text = repr(value) if isinstance(value, int) and abs(value) < 2**65 else "9" * 400
    return text if isinstance(value, int) else json.dumps(value)


_LINE_CHANGES = (_swap_word, _swap_word, _new_value, _new_value, _drop_line, _double_line,
                 _move_line, _indent)  # fmt: skip
