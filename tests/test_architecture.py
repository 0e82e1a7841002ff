"""The laws of the house (docs/laws.py): who may import whom, what stays light, and that nothing goes untested."""

import ast
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from docs.laws import EXCEPTIONS, ROOMS, TORCH_FREE, Room, may_import

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("interfaces", "studio", "trainer")
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "gradio"}
BY_NAME = {room.name: room for room in ROOMS}
MOST_LINES = 400


@cache
def modules() -> dict[str, Path]:
    """Every module of the three packages by its dotted name."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def room_of(module: str) -> Room | None:
    """The room that a module stands in; none for a package's own `__init__`."""
    parts = module.split(".")
    names = (parts[0], ".".join(parts[:2])) if parts[0] != "interfaces" else ("interfaces",)
    return BY_NAME.get(names[-1])


@cache
def imported(module: str) -> tuple[tuple[int, str], ...]:
    """(line, module) of every import, those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} is a relative import"
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            found += [(node.lineno, name if name in modules() else str(node.module)) for name in whole]
    return tuple(found)


def ours(module: str) -> Iterator[tuple[int, str]]:
    return ((line, name) for line, name in imported(module) if name.partition(".")[0] in PACKAGES)


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Circles of a graph: what is left once everything that leads nowhere is taken away again and again."""
    left = {name: set(targets) - {name} for name, targets in edges.items()}
    while ends := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in ends:
            del left[name]
    return [sorted(left)] if left else []


def test_every_module_belongs_to_a_documented_package() -> None:
    homeless = [name for name in modules() if name not in PACKAGES and room_of(name) is None]
    assert homeless == []
    folders = {f"{p}.{path.name}" for p in PACKAGES[1:] for path in (ROOT / p).iterdir() if any(path.glob("*.py"))}
    assert folders == {room.name for room in ROOMS if room.is_folder} - {"interfaces"}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_packages_import_only_allowed_packages(room: Room) -> None:
    inside = {room.name, *may_import(room), "interfaces"}
    wrong, libraries = [], set()
    for module in modules():
        if room_of(module) is not room:
            continue
        for line, name in imported(module):
            top = name.partition(".")[0]
            if top not in PACKAGES:
                libraries |= {top} - sys.stdlib_module_names
                continue
            target = room_of(name)
            if (module, name) not in EXCEPTIONS and (target is None or target.name not in inside):
                wrong.append(f"{module}:{line} imports {name}")
    assert wrong == []
    assert libraries == room.libraries


def test_no_circular_imports() -> None:
    between_modules = {name: {target for _, target in ours(name)} for name in modules()}
    assert circles(between_modules) == []
    between_rooms: dict[str, set[str]] = {room.name: set() for room in ROOMS}
    for name, targets in between_modules.items():
        if room := room_of(name):
            allowed = {target for target in targets if (name, target) not in EXCEPTIONS}
            between_rooms[room.name] |= {found.name for target in allowed if (found := room_of(target))}
    assert circles(between_rooms) == []


def test_circular_imports_are_detected() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert circles({"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a"}}) == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room.is_folder], ids=lambda room: room.name)
def test_packages_are_small_with_empty_init(room: Room) -> None:
    folder = ROOT / room.name.replace(".", "/")
    files = [file for file in folder.rglob("*.py") if file.stem != "__init__"]
    assert 1 <= len(files) <= room.modules
    inside = {path.parent.relative_to(folder).as_posix() for path in files} - {"."}
    assert inside <= ({"routes"} if room.name == "studio.web" else set())
    if room.name != "interfaces":
        assert all(file.read_text() == "" for file in folder.rglob("__init__.py"))
    assert 1 <= len((folder / "README.md").read_text(encoding="utf-8").splitlines()) <= 6


def test_files_stay_below_the_line_limit() -> None:
    lines = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in modules().items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


UNTYPED = re.compile(r"\b(?:dict|Mapping|MutableMapping)\[str, Any\]")
DOORS = {"train", "validate_config"}
"""The methods of `IFineTuneService` whose signatures the requirements give."""


def test_nothing_untyped_crosses_a_room_or_a_process() -> None:
    crossing, elsewhere = [], 0
    for module, file in modules().items():
        text = file.read_text(encoding="utf-8")
        elsewhere += len(UNTYPED.findall(text))
        tree = ast.parse(text)
        classes = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
        for node in itertools.chain(tree.body, *classes):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            hints = [ast.unparse(hint) for one in given if (hint := one.annotation)]
            hints += [ast.unparse(node.returns)] if node.returns else []
            if any(map(UNTYPED.search, hints)) and node.name not in DOORS:
                crossing.append(f"{module}.{node.name}")
    assert crossing == LIBRARIES_OWN
    assert elsewhere <= 40


LIBRARIES_OWN = ["interfaces.texts.filled"]
"""Values for a template of a text."""


def modules_loaded_by(names: Iterable[str]) -> set[str]:
    """Top-level names in sys.modules of a fresh process that imported these modules."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {sorted(names)!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def without(*rooms: str) -> list[str]:
    """The studio's modules that don't stand in these rooms."""
    return [name for name in modules() if name.startswith("studio.") and not name.startswith(rooms)]


def test_contract_and_studio_stay_free_of_torch_and_of_the_trainer() -> None:
    plain = [name for name in without("studio.pages", "studio.web.server") if not name.endswith("__main__")]
    contract = [name for name in modules() if name.startswith("interfaces")]
    assert not modules_loaded_by([*contract, *plain]) & (HEAVY | {"trainer"})


@pytest.mark.process
def test_the_pages_bring_gradio_and_no_torch() -> None:
    assert modules_loaded_by(["studio.pages.app"]) & (HEAVY | {"trainer"}) == {"gradio"}


def test_reading_data_and_downloading_stay_free_of_torch() -> None:
    light = [name for name in modules() if any(name == one or name.startswith(f"{one}.") for one in TORCH_FREE)]
    assert not modules_loaded_by(light) & HEAVY


def test_supervisor_uses_only_the_standard_library() -> None:
    plain = modules_loaded_by(["json"])
    # What the interpreter loads by itself at start is not the supervisor's doing.
    loaded = modules_loaded_by(["studio.processes.supervisor"])
    assert loaded - plain - sys.stdlib_module_names == {"studio", "interfaces"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_has_its_test_file(package: str) -> None:
    """In the same place: studio/runs/queue.py in tests/studio/runs/test_queue.py. Routes are asked through the server."""
    place = ROOT / package
    known = {file.relative_to(place).with_suffix("") for file in place.rglob("*.py") if not file.stem.startswith("__")}
    tests = ROOT / "tests" / package
    tested = {file.relative_to(tests).with_name(file.stem.removeprefix("test_")) for file in tests.rglob("test_*.py")}
    assert {str(one) for one in known - tested} - ELSEWHERE == set()
    assert {str(one) for one in tested - known} == set()


ELSEWHERE = {
    *(
        f"web/routes/{name}"
        for name in (
            "about",
            "chats",
            "datasets",
            "dataset_answers",
            "dataset_changes",
            "devices",
            "estimates",
            "evaluations",
            "exports",
            "help",
            "models",
            "notifications",
            "queue",
            "recipes",
            "storage",
            "sweeps",
            "runs",
            "texts",
            "warm_trainer",
        )
    ),
    *(f"pages/{name}" for name in ("datasets", "run", "train", "live", "settings_form")),
}
"""What only shows in the whole: routes in web/test_server, pages in test_app and in the browser."""
