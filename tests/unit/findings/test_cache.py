import json
import math

import pytest

from evolve.findings.cache import Cache, plain


def test_a_result_is_kept_while_it_depends_on_the_same(tmp_path):
    path, calls = tmp_path / "f.json", []

    def compute():
        calls.append(1)
        return {"a": (1, 2)}

    cache = Cache(path)
    assert cache.get("x", [1, math.nan], compute) == {"a": [1, 2]}
    cache.write()
    again = Cache(path)
    assert again.get("x", [1, math.nan], compute) == {"a": [1, 2]}
    assert len(calls) == 1
    again.get("x", [2], compute)
    assert len(calls) == 2


def test_what_nobody_asks_for_is_forgotten_and_nothing_is_not_stored(tmp_path):
    path = tmp_path / "f.json"
    cache = Cache(path)
    cache.get("old", 1, lambda: 1)
    cache.write()
    cache = Cache(path)
    cache.get("new", 1, lambda: 2)
    assert cache.get("none", 1, lambda: None) is None
    cache.write()
    assert set(json.loads(path.read_text())["results"]) == {"new"}


def test_an_unchanged_file_is_not_written(tmp_path):
    path = tmp_path / "f.json"
    for _ in range(2):
        cache = Cache(path)
        cache.get("x", 1, lambda: 1)
        cache.write()
        before = path.stat().st_ino if path.exists() else None
        cache.write()
        assert path.stat().st_ino == before


HEAD = '{"format": 1, "results": '


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"format": 0, "results": {}}', '{"format": 1}', HEAD + "3}", HEAD + '{"x": 3}}'],
)
def test_a_torn_or_foreign_file_counts_as_empty(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_text(text)
    assert Cache(path).get("x", 1, lambda: 7) == 7


def test_a_folder_that_cannot_be_written_is_borne(tmp_path):
    cache = Cache(tmp_path / "gone" / "f.json")
    assert cache.get("x", 1, lambda: 7) == 7
    cache.write()
    assert not (tmp_path / "gone").exists()


def test_numbers_that_json_lacks_are_read_back_by_float():
    tree = plain({"a": [math.inf, -math.inf, math.nan, 1.5], "b": "nan"})
    assert [float(v) for v in tree["a"]][:2] == [math.inf, -math.inf]
    assert math.isnan(float(tree["a"][2]))
    json.dumps(tree, allow_nan=False)
