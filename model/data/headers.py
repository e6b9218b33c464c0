"""Size of an image from its first bytes, before anything is decoded.

Sources: PNG 1.2 sec. 4.1.1; JPEG ITU-T T.81 annex B; BMP (BITMAPINFOHEADER); GIF89a sec. 18;
WebP RFC 9649; TIFF 6.0 sec. 2; PNG 3 sec. 11.3.3.5 (eXIf); Exif 2.3 sec. 4.6.4 (orientation).
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

_JPEG_SIZE = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF markers
_JPEG_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_ORIENTATION = 256, 257, 274
_WEBP_HAS_EXIF = 0x08  # of the flags of VP8X
ON_ITS_SIDE = range(5, 9)
"""Orientations that swap width and height."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")

_HEAD_BYTES = 1 << 16  # the size stands in it, unless a preview comes first


def read_sizes_wh(path: Path) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Size of an image file as it is stored and as it is shown; None for an unknown format.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_HEAD_BYTES)
        if header_size_wh(data) is None or _has_late_exif(data):
            data += file.read()
    stored, upright = header_size_wh(data), upright_size_wh(data)
    if stored is None or upright is None or min(stored) < 1:
        return None
    return stored, upright


def header_size_wh(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as the file's header claims; None for an unknown format."""
    for magic, read in _READERS.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError):
                return None
    return None


def upright_size_wh(data: bytes) -> tuple[int, int] | None:
    """As `header_size_wh`, of the picture as it is shown: its EXIF may turn it."""
    size = header_size_wh(data)
    return size[::-1] if size and exif_orientation(data) in ON_ITS_SIDE else size


def exif_orientation(data: bytes) -> int:
    """How a picture is to be turned, from 1 (as it is) to 8 (Exif 2.3 sec. 4.6.4).

    Of a PNG only what stands before its pixels is seen, of a WebP only if it is whole.
    """
    for magic, read in _EXIF.items():
        if data.startswith(magic):
            try:
                found = _tiff_values(read(data)).get(_TIFF_ORIENTATION, 1)
            except (struct.error, IndexError):
                return 1
            return found if 1 <= found <= 8 else 1
    return 1


def is_tiff(data: bytes) -> bool:
    """Whether it is a TIFF, which decoders turn upright by themselves."""
    return data.startswith((b"II*\0", b"MM\0*"))


def is_complete(data: bytes) -> bool:
    """Whether a PNG or JPEG has its end mark; other formats are taken at their word.

    Decoders fill what is missing of a cut-off file with grey and report nothing.
    """
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:] or b"IEND" in data
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") > max((at for at, _ in _jpeg_segments(data)), default=0)
    return True


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Offset and marker of every segment up to and including the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
            continue
        yield at, marker
        if marker == 0xDA:
            return
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _jpeg(data: bytes) -> tuple[int, int] | None:
    for at, marker in _jpeg_segments(data):
        if marker in _JPEG_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> tuple[int, int] | None:
    found = _tiff_values(data)
    if _TIFF_WIDTH not in found or _TIFF_HEIGHT not in found:
        return None
    return found[_TIFF_WIDTH], found[_TIFF_HEIGHT]


def _tiff_values(data: bytes) -> dict[int, int]:
    """Size and orientation by tag, as far as the first directory tells them."""
    order = "<" if data.startswith(b"II") else ">"
    at = struct.unpack_from(f"{order}I", data, 4)[0]
    found: dict[int, int] = {}
    for index in range(struct.unpack_from(f"{order}H", data, at)[0]):
        entry = at + 2 + 12 * index
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_ORIENTATION):
            found[tag] = struct.unpack_from(
                f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8
            )[0]
    return found


_READERS: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8\xff": _jpeg,
    b"RIFF": _webp,
    b"BM": _bmp,
    b"GIF8": _gif,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}


def _has_late_exif(data: bytes) -> bool:
    return data[12:16] == b"VP8X" and data[20] & _WEBP_HAS_EXIF != 0


def _jpeg_exif(data: bytes) -> bytes:
    for at, marker in _jpeg_segments(data):
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return data[at + 10 :]
    return b""


def _png_exif(data: bytes) -> bytes:
    at = 8
    while data[at + 4 : at + 8] not in (b"", b"IDAT"):
        length = struct.unpack_from(">I", data, at)[0]
        if data[at + 4 : at + 8] == b"eXIf":
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return b""


def _webp_exif(data: bytes) -> bytes:
    at = 12
    while _has_late_exif(data) and at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at + 4)[0]
        if data[at : at + 4] == b"EXIF":
            return data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2
    return b""


def _itself(data: bytes) -> bytes:
    return data


_EXIF: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x89PNG\r\n\x1a\n": _png_exif,
    b"\xff\xd8\xff": _jpeg_exif,
    b"RIFF": _webp_exif,
    b"II*\0": _itself,
    b"MM\0*": _itself,
}
