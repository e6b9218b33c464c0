"""What is uncommon about an image file, told by its header, and how a training decodes it.

Sources: as in `model.data.headers`; PNG 1.2 sec. 4.1.1, TIFF 6.0 sec. 8, WebP RFC 9649 sec. 2.7,
GIF89a.
"""

import struct
from collections.abc import Mapping

TRAITS: Mapping[str, str] = {
    "16-bit": "16 bits a channel: of each the upper 8 are taken",
    "cmyk": "CMYK: it becomes RGB without its colour profile",
    "grey": "grey: it becomes RGB with three equal channels",
    "palette": "colours of a palette: it becomes RGB",
    "alpha": "it is transparent in parts: transparency is dropped, and what colours lie below is "
    "seen",
    "animated": "it moves or has pages: the first picture is taken",
}
"""Trait -> what becomes of such a picture (`model.data.cache.load_image`)."""

_PNG_COLOURS = {0: ("grey",), 3: ("palette",), 4: ("grey", "alpha"), 6: ("alpha",)}
_JPEG_SIZE = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF markers
_JPEG_COLOURS = {1: ("grey",), 4: ("cmyk",)}
_TIFF_COLOURS = {0: ("grey",), 1: ("grey",), 3: ("palette",), 5: ("cmyk",)}
_BITS, _PHOTOMETRIC, _EXTRA = 258, 262, 338
_WEBP_ALPHA, _WEBP_ANIMATED = 0x10, 0x02


def traits_of(data: bytes) -> tuple[str, ...]:
    """Those of `TRAITS` that a file has; of a broken header as many as can be told."""
    readers = {
        b"\x89PNG\r\n\x1a\n": _png,
        b"\xff\xd8\xff": _jpeg,
        b"RIFF": _webp,
        b"GIF8": _gif,
        b"II*\0": _tiff,
        b"MM\0*": _tiff,
    }
    for magic, read in readers.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError):
                return ("palette",) if magic == b"GIF8" else ()
    return ()


def _png(data: bytes) -> tuple[str, ...]:
    depth, colours = data[24], data[25]
    head = data[: data.find(b"IDAT")]
    found = _PNG_COLOURS.get(colours, ())
    if b"tRNS" in head:
        found = (*found, "alpha")
    if b"acTL" in head:
        found = (*found, "animated")
    return ("16-bit", *found) if depth == 16 else found


def _jpeg(data: bytes) -> tuple[str, ...]:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZE:
            return _JPEG_COLOURS.get(data[at + 9], ())
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return ()


def _webp(data: bytes) -> tuple[str, ...]:
    if data[12:16] != b"VP8X":
        return ()
    flags = {"alpha": _WEBP_ALPHA, "animated": _WEBP_ANIMATED}
    return tuple(name for name, flag in flags.items() if data[20] & flag)


def _gif(data: bytes) -> tuple[str, ...]:
    at, pictures = 13 + _gif_palette(data[10]), 0
    while pictures < 2 and data[at] in b"!,":
        if data[at : at + 1] == b",":
            pictures += 1
            at += 11 + _gif_palette(data[at + 9])
        else:
            at += 2
        while data[at]:  # blocks of so many bytes
            at += 1 + data[at]
        at += 1
    return ("palette", "animated") if pictures > 1 else ("palette",)


def _gif_palette(flags: int) -> int:
    """Bytes of the colour table that follows."""
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _tiff(data: bytes) -> tuple[str, ...]:
    order = "<" if data.startswith(b"II") else ">"
    at = struct.unpack_from(f"{order}I", data, 4)[0]
    count = struct.unpack_from(f"{order}H", data, at)[0]
    tags: dict[int, int] = {}
    for index in range(count):
        tag, kind, length, value = struct.unpack_from(f"{order}HHII", data, at + 2 + 12 * index)
        if kind == 3 and length <= 2:
            value = struct.unpack_from(f"{order}H", data, at + 10 + 12 * index)[0]
        elif kind == 3:
            value = struct.unpack_from(f"{order}H", data, value)[0]
        tags[tag] = value
    found = _TIFF_COLOURS.get(tags.get(_PHOTOMETRIC, 2), ())
    if _EXTRA in tags:
        found = (*found, "alpha")
    if struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)[0]:
        found = (*found, "animated")
    return ("16-bit", *found) if tags.get(_BITS) == 16 else found
