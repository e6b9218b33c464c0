"""Names from outside are found in the data folder, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.datasets.formats.inside import DataFolder, pictures_below
from model.data.paths import OutsideFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    root = base / "root"
    (root / "a" / "b").mkdir(parents=True)
    (base / "outside").mkdir()
    for path in (root / "a" / "b" / "1.png", root / "2.png", base / "outside" / "3.png"):
        path.write_text("x")
    (root / "out").symlink_to(base / "outside")
    (root / "4.png").symlink_to(base / "outside" / "3.png")
    return DataFolder(root)


@pytest.mark.parametrize(
    ("text", "name", "is_mended"),
    [
        ("a/b/1.png", "a/b/1.png", False),
        ("./a//b/1.png", "a/b/1.png", False),
        ("/home/x/root/a/b/1.png", "a/b/1.png", True),
        ("../a/b/1.png", "a/b/1.png", True),
        ("C:\\x\\a\\b\\1.png", "a/b/1.png", True),
        ("a\\b\\1.png", "a/b/1.png", False),
        ("x/2.png", "2.png", True),
    ],
)
def test_found_by_the_longest_tail(folder, text, name, is_mended):
    place = folder.file(text)
    assert (place.name, place.is_mended) == (name, is_mended)
    assert place.path == folder.root / name


def test_an_absolute_name_of_this_very_file_is_not_mended(folder):
    place = folder.file(str(folder.root / "a" / "b" / "1.png"))
    assert (place.name, place.is_mended) == ("a/b/1.png", False)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "/", "3.png", "../outside/3.png", "a", "\0", "C:"]
)
def test_nothing_there(folder, text):
    assert folder.file(text) is None


@pytest.mark.parametrize("text", ["4.png", "out/3.png", "/x/out/3.png"])
def test_a_link_that_leads_out(folder, text):
    with pytest.raises(OutsideFolder, match="a link leads to"):
        folder.file(text)


def test_folders(folder):
    assert folder.folder("/x/a/b").name == "a/b"
    assert folder.folder("2.png") is None
    with pytest.raises(OutsideFolder):
        folder.folder("out")


@given(st.lists(st.sampled_from(["..", ".", "", "/", "a", "b", "out", "outside", "1.png", "3.png",
                                 "C:", "\\", "..\\", "root", "~"]), max_size=8),
       st.sampled_from(["/", "\\", "//"]))  # fmt: skip
def test_whatever_is_asked_for_lies_inside(folder, parts, joint):
    try:
        place = folder.file(joint.join(parts))
    except OutsideFolder:
        return
    if place is not None:
        assert place.path.resolve().is_relative_to(folder.root.resolve())
        assert place.path.is_file()


def test_pictures_below_a_folder(tmp_path):
    for name in ("b/2.JPG", "a.png", ".hidden.png", ".git/x.png", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert pictures_below(tmp_path) == ["a.png", "b/2.JPG"]


@pytest.mark.parametrize("text", ["a" * 300, f"{'é' * 130}/1.png", f"a/{'b' * 999}/c"])
def test_a_name_that_no_file_can_have_is_none(folder, text):
    assert folder.file(text) is None
    assert folder.folder(text) is None
