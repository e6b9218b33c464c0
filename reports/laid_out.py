"""Sections made ready for the formats of a report: drawn, encoded, named."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from reports.pictures import Picture, make_picture, picture_files
from reports.sections import Photo, PhotoRow, Section, TablePart
from reports.tables import table_to_csv


@dataclass(frozen=True)
class LaidPhoto:
    """A picture: the name of its file, its bytes, and the same for the page."""

    file: str
    label: str
    jpeg: bytes
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class LaidRow:
    """Pictures beside each other."""

    title: str
    photos: tuple[LaidPhoto, ...]


@dataclass(frozen=True)
class LaidSection:
    """A section as templates take it; fields as those of `reports.sections.Section`."""

    key: str
    title: str
    sentence: str
    pictures: tuple[Picture, ...]
    photos: tuple[LaidRow, ...]
    photo_caption: str
    tables: tuple[TablePart, ...]
    missing: str


def lay_out(sections: Iterable[Section | None]) -> dict[str, LaidSection]:
    """Sections by their keys; None is left out."""
    return {one.key: _laid(one) for one in sections if one is not None}


def _laid(one: Section) -> LaidSection:
    return LaidSection(
        key=one.key,
        title=one.title,
        sentence=one.sentence,
        pictures=tuple(
            make_picture(d.name, d.title, d.caption, d.wide, d.narrow) for d in one.drawings
        ),
        photos=tuple(_laid_row(row) for row in one.photos),
        photo_caption=one.photo_caption,
        tables=one.tables,
        missing=one.missing,
    )


def _laid_row(row: PhotoRow) -> LaidRow:
    return LaidRow(row.title, tuple(_laid_photo(photo) for photo in row.photos))


def _laid_photo(photo: Photo) -> LaidPhoto:
    source = f"data:image/jpeg;base64,{base64.b64encode(photo.jpeg).decode()}"
    return LaidPhoto(
        f"{photo.name}.jpg", photo.label, photo.jpeg, source, photo.width, photo.height
    )


def section_files(sections: Iterable[LaidSection]) -> dict[str, bytes]:
    """Files of sections by their names in a report."""
    files: dict[str, bytes] = {}
    for one in sections:
        files |= picture_files(one.pictures)
        files |= {f"figures/{p.file}": p.jpeg for row in one.photos for p in row.photos}
        for part in one.tables:
            files[f"tables/{part.name}.csv"] = table_to_csv(part.table).encode()
    return files
