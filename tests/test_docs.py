"""Documents are tested where they can be."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.events import KINDS, parse_event
from interfaces.folders import DatasetFolder, RunFolder
from studio.runs.state import RunState

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL))


def test_make_targets_exist_and_have_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z-]+)\b", code_blocks(README, "bash") + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"demo", "setup", "test", "check"} <= named
    for target in named:
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target


@pytest.mark.process
def test_every_command_of_the_readme_is_understood() -> None:
    commands = [line.split("#")[0].split() for line in code_blocks(README, "bash").splitlines() if "finetune " in line]
    assert len(commands) >= 10
    for name, *arguments in commands:
        assert name.endswith("finetune")
        flags = [argument for argument in arguments if argument.startswith("--") and argument != "--help"]
        words = [argument for argument in arguments if not argument.startswith("-")]
        verb = words[: 2 if words[:1] in (["data"], ["sweep"]) else 1]
        shown = subprocess.run(
            [Path(sys.executable).parent / "finetune", *verb, "--help"], capture_output=True, text=True, check=True,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        ).stdout  # fmt: skip
        assert all(flag in shown for flag in flags), (verb, flags)


def test_the_readme_s_config_is_a_config() -> None:
    import yaml

    from interfaces.validation import config_problems

    assert config_problems(yaml.safe_load(code_blocks(README, "yaml"))) == []


def test_the_readme_s_tree_is_the_tree() -> None:
    shown = set(re.findall(r"^    ([a-z]+)/  ", README, re.MULTILINE))
    real = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    assert shown == real - {"dist", "build", "node_modules"}


def test_the_readme_s_models_are_the_catalog() -> None:
    from studio.models.catalog import CATALOG

    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in README.splitlines()
        if line.startswith(("| Qwen/", "| starter"))
    ]
    named = [entry for entry in CATALOG if entry.tier != "more"]
    assert [row[0].split()[0] for row in rows] == [entry.id for entry in named]
    for row, entry in zip(rows[:-1], named, strict=False):
        assert (row[1], row[2]) == (entry.vram_hint, entry.time_hint)


def test_documented_events_are_valid_and_complete() -> None:
    lines = code_blocks((ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8"), "jsonl").splitlines()
    events = [parse_event(line) for line in lines]
    assert {event.kind for event in events if event} == set(KINDS)
    assert len(events) == len(KINDS)


def test_every_file_of_a_run_and_every_state_is_documented() -> None:
    text = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    folder = RunFolder(Path("/run"))
    names = {
        getattr(folder, name).name
        for name, kind in vars(RunFolder).items()
        if isinstance(kind, property) and name not in ("id", "home", "run", "is_waiting", "ticket")
    }
    for name in (names | {"queue/<run>.json"}) - {folder.start_lock.name}:
        assert name in text, name
    for state in RunState:
        assert state.value in text, state


def test_derived_documents_are_fresh() -> None:
    subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, check=True)


def test_row_problems_and_column_roles_are_documented() -> None:
    from interfaces.problems import Code
    from trainer.data.formats import ROLES

    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    reported = set(re.findall(r"^\| `(\w+)` \| (?:error|warning) \|", text, re.MULTILINE))
    assert reported == {code.removeprefix("row_") for code in Code if code.startswith("row_")} - {"number_unknown"}
    assert all(f"`{role}`" in text for role in ROLES)


def test_every_file_of_a_dataset_is_documented() -> None:
    text = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    folder = DatasetFolder(Path("/dataset"))
    names = {
        getattr(folder, name).name
        for name, kind in vars(DatasetFolder).items()
        if isinstance(kind, property) and name != "id"
    }
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/data.md"])
def test_links_between_documents_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / path).parent / target).exists(), target


def test_the_changelog_knows_this_version() -> None:
    from importlib.metadata import version

    assert f"## {version('finetune-studio')}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_figures_beside_the_requirements_hints_are_computed() -> None:
    from interfaces.presets import PresetConfigs
    from studio.models.catalog import BY_ID
    from studio.sizing.devices import named_device
    from studio.sizing.estimate import estimate, with_changes

    text = (ROOT / "docs" / "estimate.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| Qwen/")
    ]
    assert len(rows) == 5
    card, preset = named_device("rtx_3060"), PresetConfigs.rtx_3060()
    plain, four = {"load_in_8bit": False}, {"load_in_8bit": False, "load_in_4bit": True}
    for model, hint, *figures in rows:
        entry = BY_ID[model]
        found = [
            estimate(entry.shape, with_changes(preset, changes), card, loss=loss).total_bytes
            for changes, loss in (({}, "trained"), (plain, "trained"), (four, "trained"), ({}, "full"))
        ]
        assert (hint, figures) == (entry.vram_hint, [f"{size / 1e9:.1f}" for size in found])
