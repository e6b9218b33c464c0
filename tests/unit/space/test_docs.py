"""The page about spaces shows a file that loads, and names what there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from evolve.space import load_space
from evolve.space.constraints import _FUNCTIONS, Constraint
from evolve.space.schema import Sampler, SearchedSpec, Variant

PAGE = Path(__file__).parents[3] / "docs" / "spaces.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_file_on_the_page_loads_and_has_every_kind(page, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    path = tmp_path / "shown.yaml"
    path.write_text(block)
    space = load_space(path)
    kinds = {get_args(spec.model_fields["type"].annotation)[0] for spec in get_args(SearchedSpec)}
    assert {parameter.kind for parameter in space.parameters} == kinds
    assert {parameter.scale for parameter in space.parameters} == {"linear", "log"}
    assert space.fixed
    assert space.constraints
    assert space.conditions()


def test_every_sampler_function_and_variant_is_named(page):
    for name in get_args(Sampler):
        assert f"| `{name}` |" in page
    for name in _FUNCTIONS:
        assert f"`{name}(x" in page
    for name in set(get_args(Variant)) - {"evolve"}:
        assert re.search(rf"variant:\s{name}", page)


def test_the_chain_on_the_page_is_a_constraint(page):
    (chain,) = re.findall(r"chains of them \(`(.*?)`\)", page)
    assert Constraint(chain).paths == ("augment.hue", "augment.jitter")
