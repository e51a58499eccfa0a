"""Imports only go down the floors of the house."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    {"errors", "clock", "settings"},
    {"allocation", "inference"},
    {"domain"},
    {"store"},
    {"enrolment", "events", "results", "management", "trust"},
    {"web"},
    {"bootstrap", "supervisor", "commands", "__main__"},
]
GROUND = ["errors", "clock", "settings"]
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix()
    for path in (ROOT / "abtest").rglob("*.py")
    if path != ROOT / "abtest" / "__init__.py"
)


def floor(module: str) -> int:
    name = module.split(".")[1] if "." in module else "errors"
    return next(number for number, names in enumerate(FLOORS) if name in names)


def imported(module: str) -> list[str]:
    tree = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "abtest":
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_floor_or_below(module: str) -> None:
    here = module.replace("/", ".")
    for name in imported(module):
        if name.startswith("abtest."):
            assert floor(name) <= floor(here), f"{here} imports {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if floor(module.replace("/", ".")) <= 4])
def test_below_the_web_nothing_knows_tornado_jinja_or_click(module: str) -> None:
    for name in imported(module):
        assert name.split(".")[0] not in {"tornado", "jinja2", "click"}, f"{module} imports {name}"


def test_only_the_top_knows_the_concrete_store() -> None:
    knowing = {
        module for module in MODULES if any(name.startswith("abtest.store.sqlite") for name in imported(module))
    }
    above = {module for module in knowing if not module.startswith("abtest/store/")}
    assert {module.split("/")[1] for module in above} <= {"bootstrap"}


def test_the_table_of_the_floors_names_every_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The floors")[1].split("\n## ")[0]
    rows = [line.split("|") for line in text.splitlines() if "`" in line and line.startswith("|")]
    assert [set(re.findall(r"`(\w+)`", row[2])) for row in rows] == [names - {"__main__"} for names in FLOORS[::-1]]


def test_the_ground_floor_stands_in_order() -> None:
    for number, module in enumerate(GROUND):
        for name in imported(f"abtest/{module}"):
            if name.startswith("abtest."):
                assert name.split(".")[1] in GROUND[:number], f"{module} imports {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("abtest/inference/")])
def test_inference_depends_on_nothing_but_numbers(module: str) -> None:
    tree = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))
    imports = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imports += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for name in imports:
        own = name.startswith("abtest.inference") or name in {"msgspec", "scipy.special"}
        assert own or name.split(".")[0] in sys.stdlib_module_names, f"{module} imports {name}"
