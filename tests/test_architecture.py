"""The rules of the tree that a linter cannot say: what the web may import, and how files look."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "webapp", "workers", "benchmarks")
WEB_MAY_IMPORT = {"core.baseline", "core.catalog", "core.settings", "core.presets.table", "core.errors", "core.names",
                  "core.package_card", "core.question", "core.cost", "core.recommendation", "core.data.decoding",
                  "core.data.archives", "core.data.looks", "core.data.members", "core.evaluation.spot_check",
                  "core.evaluation.guard", "core.evaluation.paired", "core.evaluation.estimate",
                  "core.evaluation.matching", "core.evaluation.trust"}
HEAVY = ("torch", "torchvision", "timm", "open_clip", "sklearn", "transformers")
NAMES_THAT_ROT = {"utils", "util", "helpers", "helper", "misc", "common"}
LONG_MODULES = {
    "core/catalog.py": "one table, read as one",
    "core/standalone_predict.py": "travels alone in a package, so it can import nothing of ours",
    "benchmarks/shortages.py": "what runs short, one trial after the other",
}
"""Modules over 300 lines, each with the reason why it is one idea."""


def modules() -> list[Path]:
    """Return every Python file of ours but migrations."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
                  if "migrations" not in path.parts)


@pytest.mark.parametrize("entry", ["webapp.config.urls", "webapp.config.asgi"])
def test_the_web_process_has_no_torch_in_it(entry: str) -> None:
    program = (f"import sys, django; django.setup(); import {entry}; "
               f"print([name for name in {HEAVY!r} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_web_imports_only_the_torch_free_part_of_core_and_the_workers_door() -> None:
    graph = grimp.build_graph("core", "webapp", "workers", cache_dir=None)
    below = {module for module in graph.modules if module.startswith(("core.", "workers."))}
    found = {imported for module in graph.modules if module.startswith("webapp")
             for imported in graph.find_modules_directly_imported_by(module) if imported in below}
    assert found <= WEB_MAY_IMPORT | {"workers.app"}


@pytest.mark.parametrize("module", sorted(WEB_MAY_IMPORT))
def test_what_the_web_may_import_of_core_loads_without_torch(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_no_file_has_a_name_that_rots() -> None:
    assert [path for path in modules() if path.stem in NAMES_THAT_ROT] == []


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in modules()
              if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None]
    assert silent == []


def test_a_module_over_300_lines_has_a_reason() -> None:
    long = {str(path.relative_to(ROOT)) for path in modules() if len(path.read_text().splitlines()) > 300}
    assert long <= LONG_MODULES.keys()


def test_packages_of_core_import_nothing_by_themselves() -> None:
    busy = [path for path in (ROOT / "core").rglob("__init__.py")
            if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(path.read_text())))]
    assert busy == []
