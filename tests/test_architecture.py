"""The laws of the house: who may import whom, what stays light, and that nothing goes untested."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {  # package: (files at least; what it may import besides itself and the standard library)
    "interfaces": (13, {"pydantic"}),
    "trainer": (
        24,
        {"interfaces", "pydantic", "yaml", "typer", "filelock", "packaging", "torch", "transformers", "peft", "bitsandbytes", "accelerate",
         "safetensors", "gguf", "jinja2", "psutil", "pyarrow", "huggingface_hub", "tqdm", "numpy", "orjson", "tokenizers"},
    ),
    "studio": (
        30,
        {"interfaces", "pydantic", "pydantic_core", "annotated_types", "yaml", "typer", "rich", "psutil", "filelock", "pynvml", "huggingface_hub",
         "fastapi", "starlette", "uvicorn", "gradio"},
    ),
}  # fmt: skip
# Behind one door each: a route never builds a page, a page never answers a route.
KNOWS_GRADIO = {"app.py", "theme.py", "components", "pages"}
KNOWS_FASTAPI = {"server.py", "door.py", "routes"}
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "gradio", "trainer"}
WITHOUT_TORCH = (
    "trainer.reading",
    "trainer.model_files",
    "trainer.hub",
    "trainer.formats",
    "trainer.dataset",
    "trainer.export",
    "trainer.cli",
    "trainer.starter",
    "trainer.json_array",
    "trainer.delimited",
    "trainer.cells",
    "trainer.conversations",
    "trainer.inspection",
    "trainer.splitting",
    "trainer.mixing",
    "trainer.editing",
    "trainer.hub_dataset",
    "trainer.limits",
)
UNTESTED = {"__init__", "__main__"}


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Every import of a file, those inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_imports_only_what_its_row_allows(package: str) -> None:
    at_least, others = MAY_IMPORT[package]
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) >= at_least, f"found only {len(files)} files under {package}/"
    allowed = others | {package} | sys.stdlib_module_names
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for line, name in imports(file)
        if name not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def modules_loaded_by(*names: str) -> set[str]:
    """Top-level names in sys.modules of a fresh process that imported these modules."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def modules_of(package: str) -> list[str]:
    return [f"{package}.{path.stem}" for path in (ROOT / package).glob("*.py") if path.stem not in UNTESTED]


def test_contract_and_studio_stay_free_of_torch_and_of_the_trainer() -> None:
    plain = [name for name in modules_of("studio") if name.split(".")[1] + ".py" not in KNOWS_GRADIO]
    assert len(plain) >= 20
    assert not modules_loaded_by("interfaces", "studio", *modules_of("interfaces"), *plain) & HEAVY


@pytest.mark.process
def test_the_pages_bring_gradio_and_no_torch() -> None:
    assert modules_loaded_by("studio.app") & HEAVY == {"gradio"}


@pytest.mark.parametrize(
    ("library", "knows"),
    [({"gradio"}, KNOWS_GRADIO), ({"fastapi", "starlette", "uvicorn"}, KNOWS_FASTAPI)],
    ids=["gradio", "fastapi"],
)
def test_each_library_of_the_browser_stays_behind_its_door(library: set[str], knows: set[str]) -> None:
    files = sorted((ROOT / "studio").rglob("*.py"))
    users = {
        file.relative_to(ROOT / "studio").parts[0] for file in files for _, name in imports(file) if name in library
    }
    assert users == knows


def test_reading_data_stays_free_of_torch() -> None:
    assert not modules_loaded_by(*WITHOUT_TORCH) & (HEAVY - {"trainer"})


def test_supervisor_is_on_the_standard_library_alone() -> None:
    plain = modules_loaded_by("json")
    # What the interpreter loads by itself at start is not the supervisor's doing.
    foreign = modules_loaded_by("studio.supervisor") - plain - sys.stdlib_module_names - {"studio", "interfaces"}
    assert not foreign


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_module_has_its_test_file(package: str) -> None:
    modules = {path.stem for path in (ROOT / package).glob("*.py")} - UNTESTED
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / package).glob("test_*.py")}
    assert not modules - tested, f"without tests/{package}/test_<module>.py: {sorted(modules - tested)}"
    assert not tested - modules, f"tests of modules that are gone: {sorted(tested - modules)}"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_each_folder_states_its_law_in_six_lines(package: str) -> None:
    assert 1 <= len((ROOT / package / "README.md").read_text(encoding="utf-8").splitlines()) <= 6


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_file_grows_beyond_one_noun(package: str) -> None:
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / package).rglob("*.py")}
    assert not {name: lines for name, lines in long.items() if lines > 400}
