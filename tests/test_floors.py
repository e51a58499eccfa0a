"""The house: imports only go down the floors and through the doors, and no room is too full."""

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
    {"language"},
    {"store"},
    {"enrolment", "events", "results", "export", "management", "trust", "upkeep"},
    {"web"},
    {"bootstrap", "supervisor", "commands", "__main__"},
]
GROUND = ["errors", "clock", "settings"]
SIDE_DOORS = {"abtest.inference.judgement", "abtest.store.postgres", "abtest.store.sqlite"}
"""What only some may load: scipy, and a store of one kind."""
MOST_AT_THE_TOP, MOST_MODULES, MOST_LINES = 5, 15, 400

FILES = [path for path in sorted((ROOT / "abtest").rglob("*.py")) if path != ROOT / "abtest" / "__init__.py"]
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in FILES
}
ROOMS = sorted(path.parent for path in FILES if path.name == "__init__.py")
INSIDE = {name: path for name, path in MODULES.items() if path.name != "__init__.py"}


def room(module: str) -> str:
    """The first name below abtest: a room, or a module at the top."""
    return module.split(".")[1]


def floor(module: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if room(module) in names)


def below(number: int) -> list[str]:
    return [module for module in MODULES if floor(module) <= number]


def imported(module: str) -> list[tuple[str, str]]:
    """(module, name) of every import in it, wherever it stands."""
    found = []
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


def own(module: str) -> list[str]:
    """The modules and rooms of abtest that it imports: the longest name that is one."""
    names = [(source, f"{source}.{name}") for source, name in imported(module) if source.split(".")[0] == "abtest"]
    return [full if full in MODULES else source for source, full in names]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_floor_or_below(module: str) -> None:
    for name in own(module):
        if name != "abtest":
            assert floor(name) <= floor(module), f"{module} imports {name}"


def exported(door: str) -> set[str]:
    """The names in the `__all__` of a room."""
    for node in ast.parse(MODULES[door].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("module", MODULES)
def test_a_room_is_entered_by_its_door(module: str) -> None:
    for source, name in imported(module):
        if not source.startswith("abtest.") or room(source) == room(module):
            continue
        at_the_top = source.count(".") == 1 and MODULES[source].name != "__init__.py"
        assert at_the_top or name in exported(source), f"{module} imports {name} from {source}"
        assert source.count(".") == 1 or source in SIDE_DOORS, f"{module} imports from {source}"


def test_no_import_comes_back() -> None:
    """Neither from module to module, nor from room to room: a door is the room."""
    modules = {module: {name for name in own(module) if name in INSIDE} for module in INSIDE}
    rooms: dict[str, set[str]] = {}
    for module in MODULES:
        others = {room(name) for name in own(module) if name != "abtest"} - {room(module)}
        rooms.setdefault(room(module), set()).update(others)
    for graph in (modules, rooms):
        left = dict(graph)
        while leaves := [name for name, needed in left.items() if not needed & left.keys()]:
            for name in leaves:
                del left[name]
        assert not left, f"these import one another: {sorted(left)}"


@pytest.mark.parametrize("module", below(5))
def test_below_the_web_nothing_knows_tornado_jinja_or_click(module: str) -> None:
    for name, _ in imported(module):
        assert name.split(".")[0] not in {"tornado", "jinja2", "click"}, f"{module} imports {name}"


def test_only_the_top_knows_a_concrete_store() -> None:
    for store in ("abtest.store.sqlite", "abtest.store.postgres"):
        found = {module for module in MODULES if any(name.startswith(store) for name in own(module))}
        assert {module for module in found if not module.startswith(store)} == {"abtest.bootstrap"}


def test_the_ground_floor_stands_in_order() -> None:
    for number, module in enumerate(GROUND):
        for name in own(f"abtest.{module}"):
            assert name == "abtest" or room(name) in GROUND[:number], f"{module} imports {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) == "inference"])
def test_inference_depends_on_nothing_but_numbers(module: str) -> None:
    for name, _ in imported(module):
        known = name.startswith("abtest.inference") or name in {"msgspec", "scipy.special"}
        assert known or name.split(".")[0] in sys.stdlib_module_names, f"{module} imports {name}"


@pytest.mark.parametrize("folder", [ROOT / "abtest", *ROOMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_is_too_full(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if path.name not in {"__init__.py", "__main__.py"}]
    assert len(modules) <= (MOST_AT_THE_TOP if folder == ROOT / "abtest" else MOST_MODULES)


def test_no_file_is_too_long() -> None:
    texts = [path for kind in ("*.py", "*.html", "*.sql", "*.yaml") for path in (ROOT / "abtest").rglob(kind)]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in texts}
    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}


@pytest.mark.parametrize("folder", ROOMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tests_of_a_room_lie_where_the_room_does(folder: Path) -> None:
    assert (ROOT / "tests" / folder.relative_to(ROOT / "abtest")).is_dir()


def section(title: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    return [line.split("|") for line in section(title).splitlines() if line.startswith("|") and "`" in line]


def test_the_table_of_the_floors_names_every_room() -> None:
    told = [set(re.findall(r"`(\w+)`", row[2])) for row in rows("The floors")]
    assert told == [names - {"__main__"} for names in FLOORS[::-1]]


def test_the_table_of_the_rooms_has_a_line_for_every_folder() -> None:
    told = [match[1] for row in rows("The rooms") if (match := re.search(r"`([\w/]+)/`", row[1]))]
    assert sorted(told) == sorted(path.relative_to(ROOT / "abtest").as_posix() for path in ROOMS)
