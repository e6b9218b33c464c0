"""Imports go one way, and light commands stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# package or module -> what it must not import, at any depth of its own code
FORBIDDEN = {
    "model": ("evolve", "reports", "ray", "optuna", "pydantic_settings"),
    "reports": ("torch", "ray", "evolve.engine", "evolve.cli", "model.train", "model.build"),
    "evolve/space": ("torch", "ray", "evolve.engine", "evolve.store", "evolve.search"),
    "evolve/ablation": ("torch", "ray", "evolve.engine", "evolve.cli", "reports"),
    "evolve/search": ("torch", "ray", "evolve.engine", "evolve.store", "evolve.cli"),
    "evolve/cards": ("torch", "ray", "evolve.engine", "evolve.cli", "reports"),
    "evolve/datasets": ("torch", "ray", "optuna", "evolve.engine", "evolve.cli", "reports"),
    "evolve/analysis": ("torch", "ray", "matplotlib", "evolve.engine", "evolve.cli", "reports"),
    "evolve/findings": ("torch", "ray", "matplotlib", "evolve.engine", "evolve.cli", "reports"),
    "evolve/store": ("ray", "evolve.engine", "evolve.cli", "reports"),
    "evolve/engine": ("evolve.cli", "reports"),
}
RAY_ALLOWED = {
    "evolve/engine/cluster.py",
    "evolve/engine/ray_tune.py",
    *(f"evolve/engine/schedulers/{name}.py" for name in ("__init__", "kinds", "stage")),
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _breaks(name: str, forbidden: str) -> bool:
    return name == forbidden or name.startswith(f"{forbidden}.")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    faults = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in sorted(_imports(path))
        for forbidden in FORBIDDEN[package]
        if _breaks(name, forbidden)
    ]
    assert not faults


def test_ray_is_imported_by_the_engine_alone():
    users = {
        str(path.relative_to(ROOT))
        for package in ("evolve", "model", "reports")
        for path in (ROOT / package).rglob("*.py")
        if any(_breaks(name, "ray") for name in _imports(path))
    }
    assert users == RAY_ALLOWED


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import evolve.cli.main as m; m.cli.get_help(m.click.Context(m.cli))",
         {"torch", "ray", "optuna", "pandas", "numpy"}),
        ("import evolve.cli.run_cmd", {"torch", "ray", "optuna", "pandas"}),
        ("import evolve.space", {"torch", "ray", "optuna"}),
        ("import evolve.cli.tables_cmd, evolve.ablation.paper, evolve.ablation.layout",
         {"torch", "ray", "optuna", "pandas", "numpy"}),
        ("import reports.render", {"torch", "ray"}),
        ("import evolve.store.read", {"torch", "ray", "pandas", "scipy"}),
        ("import evolve.store.status, evolve.cli.progress",
         {"torch", "ray", "pandas", "scipy", "pydantic"}),
        ("import evolve.findings", {"torch", "ray", "matplotlib"}),
        ("import evolve.cli.explain_cmd", {"torch", "ray", "optuna", "pandas"}),
        ("import evolve.analysis.words, evolve.analysis.matching", {"torch", "ray", "matplotlib"}),
        *((f"import evolve.cli.main as m, contextlib\nwith contextlib.suppress(Exception): "
           f"m.cli.main(['{verb}', 'nowhere'], standalone_mode=False)\n", {"torch", "ray"})
          for verb in ("report", "status", "export-study")),
        *((f"import evolve.cli.main as m\nm.cli.main({words}, standalone_mode=False)\n",
           {"torch", "ray", "optuna", "pandas"})
          for words in (["tables", "--json"], ["tables", "--show", "bof", "--rows"])),
        ("import evolve.runs", {"torch"}),
        ("import evolve.costs", {"torch", "ray", "optuna", "pandas"}),
        ("import model.data.loader", {"torch", "ray", "optuna"}),
        ("import evolve.engine.probe, evolve.engine.placement, evolve.engine.plan",
         {"torch", "ray", "optuna", "pandas"}),
    ],
)  # fmt: skip
def test_light_parts_do_not_load_heavy_packages(code, absent):
    show = "import sys; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    assert not absent & set(done.stdout.split())
