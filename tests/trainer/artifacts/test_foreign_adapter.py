"""Adapters from elsewhere: what PEFT and others write is taken, and what could do harm is refused with a sentence."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.trainer_jobs import ForeignAdapter, ignore_progress
from tests.support.adapters import foreign_adapter

pytestmark = pytest.mark.tiny
NAMES = ("adapter_config.json", "adapter_model.safetensors")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return foreign_adapter(tmp_path_factory.mktemp("foreign") / "adapter", tiny_model, 1)


def changed(adapter: Path, place: Path, **settings: Any) -> Path:
    """A copy of the adapter with other settings."""
    place.mkdir()
    for name in NAMES:
        (place / name).write_bytes((adapter / name).read_bytes())
    config = json.loads((place / NAMES[0]).read_text())
    (place / NAMES[0]).write_text(json.dumps({**config, **settings}))
    return place


def packed(folder: Path, archive: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                file.write(path, prefix + path.name)
    return archive


def taken(path: Path, target: Path, model: str = "") -> ForeignAdapter:
    from trainer.artifacts.foreign_adapter import take_adapter

    return take_adapter(path, target, model, Home(target.parent / "home"), ignore_progress)


def reason(path: Path, target: Path) -> str:
    with pytest.raises(FineTuneError) as caught:
        taken(path, target)
    assert not target.exists(), "nothing is left of it"
    assert not list(target.parent.glob(f".{target.name}*"))
    problem = caught.value.problems[0]
    assert problem.code is Code.ADAPTER_REFUSED, problem
    return str(problem.params["reason"])


@pytest.mark.parametrize("prefix", [None, "", "my-adapter/", "a/b/"])
def test_a_folder_and_a_zip_are_taken_with_the_same_weights(
    adapter: Path, tmp_path: Path, tiny_model: Path, prefix: str | None
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    source = adapter if prefix is None else packed(adapter, tmp_path / "mine.zip", prefix)
    found = taken(source, tmp_path / "taken")
    assert (found.base, found.r, found.warnings) == (str(tiny_model), 4, [])
    assert sorted(path.name for path in (tmp_path / "taken").iterdir()) == sorted(NAMES)
    assert (tmp_path / "taken" / NAMES[1]).read_bytes() == (adapter / NAMES[1]).read_bytes()
    written = (tmp_path / "taken" / NAMES[0]).read_text()
    assert str(tiny_model) not in written, "no path of this machine leaves with an export"
    both = [
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), place).state_dict()
        for place in (adapter, tmp_path / "taken")
    ]
    assert both[0].keys() == both[1].keys()
    assert all(both[0][name].equal(both[1][name]) for name in both[0])


def test_the_base_is_what_the_adapter_names_or_what_is_said(adapter: Path, tmp_path: Path) -> None:
    from trainer.models.starter import PORTABLE_NAME

    for number, (named, base) in enumerate(
        [
            (PORTABLE_NAME, "starter"),
            ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
            ("unsloth/qwen2.5-0.5b-instruct-unsloth-bnb-4bit", "unsloth/qwen2.5-0.5b-instruct"),
        ]
    ):
        source = changed(adapter, tmp_path / f"source-{number}", base_model_name_or_path=named)
        found = taken(source, tmp_path / f"taken-{number}")
        assert found.base == base
        assert [one.code for one in found.warnings] == ([Code.ADAPTER_BASE_QUANTIZED] if "bnb" in named else [])
    for odd in (None, "", "./model", "/nowhere/model", "../../etc", "a/b/c"):
        source = changed(adapter, tmp_path / f"odd-{str(odd).replace('/', '-')}", base_model_name_or_path=odd)
        with pytest.raises(FineTuneError) as caught:
            taken(source, tmp_path / "never")
        assert caught.value.problems[0].code is (Code.ADAPTER_BASE_UNKNOWN if odd else Code.ADAPTER_BASE_MISSING)
        assert taken(source, tmp_path / f"said-{source.name}", "Qwen/Qwen3-0.6B").base == "Qwen/Qwen3-0.6B"


def test_settings_of_others_are_dropped_or_said(adapter: Path, tmp_path: Path) -> None:
    """Unsloth writes a regular expression and settings of its own; others load code by a name."""
    source = changed(
        adapter, tmp_path / "source", target_modules=r"(?:.*?(?:language|text).*?(?:q_proj|v_proj)).*?", unsloth_fixed=True,
        auto_mapping={"base_model_class": "Evil", "parent_library": "os"}, megatron_config={"a": 1}, megatron_core="evil.module",
        loftq_config={"bits": 4}, layers_pattern="(a+)+$", init_lora_weights="gaussian", inference_mode=False,
    )  # fmt: skip
    found = taken(source, tmp_path / "taken")
    assert [(one.code, one.params["value"]) for one in found.warnings] == [
        (Code.ADAPTER_SETTINGS_LEFT_OUT, "unsloth_fixed")
    ]
    written = json.loads((tmp_path / "taken" / NAMES[0]).read_text())
    assert written["target_modules"][0].startswith("model.layers.0."), "the layers that the weights name"
    assert not {"auto_mapping", "megatron_core", "megatron_config", "layers_pattern", "unsloth_fixed"} & written.keys()
    assert "evil" not in json.dumps(written).lower()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "no_lora"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes_base"),
        ({"layer_replication": [[0, 1]]}, "setting_unsupported"),
        ({"alpha_pattern": {"(a+)+$": 2}}, "setting_holds_regex"),
        ({"alpha_pattern": {"q_proj": -1}}, "setting_odd"),
        ({"r": "4; rm -rf"}, "setting_odd"),
        ({"lora_alpha": 8192}, "setting_odd"),
        ({"bias": "xx all yy"}, "setting_odd"),
        ({"lora_alpha": float("inf")}, "setting_odd"),
        ({"modules_to_save": {"a": 1}}, "setting_odd"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    adapter: Path, tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    assert reason(changed(adapter, tmp_path / "source", **settings), tmp_path / "taken") == says


def test_ranks_are_those_of_the_weights(adapter: Path, tmp_path: Path) -> None:
    """What the settings say of ranks could reserve any amount of memory."""
    source = changed(adapter, tmp_path / "source", r=64, rank_pattern={"q_proj": 10**8, "(a+)+$": -1})
    assert taken(source, tmp_path / "taken").r == 4
    written = json.loads((tmp_path / "taken" / NAMES[0]).read_text())
    assert (written["r"], written["rank_pattern"]) == (4, {})


def test_whole_layers_need_their_own_name(adapter: Path, tmp_path: Path) -> None:
    """A name such as `model` would let every weight of a model through."""
    from safetensors.numpy import load_file, save_file

    source = changed(adapter, tmp_path / "source", modules_to_save=["model"])
    weights = load_file(source / NAMES[1])
    whole = next(iter(weights.values()))
    save_file({**weights, "base_model.model.model.layers.0.mlp.up_proj.weight": whole}, source / NAMES[1])
    assert reason(source, tmp_path / "taken") == "holds_whole_layers"
    save_file({**weights, "base_model.model.lm_head.weight": whole}, source / NAMES[1])
    config = json.loads((source / NAMES[0]).read_text())
    (source / NAMES[0]).write_text(json.dumps({**config, "modules_to_save": ["lm_head"]}))
    taken(source, tmp_path / "taken")


def test_damaged_and_foreign_files_are_refused(adapter: Path, tmp_path: Path, tiny_model: Path) -> None:
    def broken(name: str, content: bytes | None) -> Path:
        place = changed(adapter, tmp_path / f"broken-{len(list(tmp_path.iterdir()))}")
        if content is None:
            (place / name).unlink()
        else:
            (place / name).write_bytes(content)
        return place

    target = tmp_path / "taken"
    assert reason(broken(NAMES[0], b"[1]"), target) == "file_damaged"
    assert reason(broken(NAMES[0], b"[" * 100_000), target) == "file_damaged"
    assert reason(broken(NAMES[0], b"\xff\xfe"), target) == "file_damaged"
    assert reason(broken(NAMES[0], b" " * 2_000_000), target) == "file_damaged"
    assert reason(broken(NAMES[0], None), target) == "file_not_there"
    assert reason(broken(NAMES[1], None), target) == "file_not_there"
    assert reason(broken(NAMES[1], b"no weights"), target) == "file_damaged"
    assert reason(broken(NAMES[1], (tiny_model / "model.safetensors").read_bytes()), target) == "holds_whole_layers"
    pickled = broken(NAMES[1], None)
    (pickled / "adapter_model.bin").write_bytes(b"\x80\x04")
    assert reason(pickled, target) == "is_pickle"
    with pytest.raises(FineTuneError) as caught:
        taken(tmp_path / "nowhere.zip", target)
    assert caught.value.problems[0].code is Code.FILE_MISSING


def test_an_adapter_of_another_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    from tests.support.tiny_families import tiny_family

    for number, shape in enumerate(({"hidden_size": 96}, {"num_key_value_heads": 4})):
        other = tiny_family(tmp_path / f"other-{number}", "llama", **shape)
        source = changed(adapter, tmp_path / f"source-{number}", base_model_name_or_path=str(other))
        assert reason(source, tmp_path / "taken") == "other_base"


def test_hostile_archives_are_refused(adapter: Path, tmp_path: Path) -> None:
    target, archive = tmp_path / "taken", tmp_path / "mine.zip"

    def with_members(*members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members:
                file.writestr(name, content)
        return archive

    config, weights = ((adapter / name).read_bytes() for name in NAMES)
    link = zipfile.ZipInfo(NAMES[1])
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert reason(with_members((NAMES[0], config), (link, b"/etc/passwd")), target) == "is_a_link"
    assert reason(with_members((NAMES[0], config), (NAMES[1], bytes(50_000_000))), target) == "unpacks_too_large"
    windows = with_members(("a\\" + NAMES[0], config), ("a\\" + NAMES[1], weights))
    taken(windows, tmp_path / "from-windows")
    broken = bytearray(packed(adapter, archive).read_bytes())
    at = broken.index(b"PK\x03\x04", 4) + 200
    broken[at : at + 400] = bytes(400)
    archive.write_bytes(broken)
    assert reason(archive, target) == "no_zip"
    two = [
        (f"{place}/{name}", content) for place in "ab" for name, content in zip(NAMES, (config, weights), strict=True)
    ]
    assert reason(with_members(*two), target) == "several_adapters"
    archive.write_bytes(b"PK\x03\x04 no zip")
    assert reason(archive, target) == "no_zip"
    archive.write_bytes(b"")
    assert reason(archive, target) == "no_zip"

    outside = tmp_path / "outside"
    found = with_members(
        ("../outside", b"x"), ("/tmp/outside-of-the-archive", b"x"), (NAMES[0], config), (NAMES[1], weights),
        ("checkpoint-10/adapter_config.json", config), ("checkpoint-10/adapter_model.safetensors", weights),
    )  # fmt: skip
    taken(found, target)
    assert not outside.exists()
    assert sorted(path.name for path in target.iterdir()) == sorted(NAMES)
