from pathlib import Path

import pytest

from interfaces import Device
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.problems import Code
from interfaces.validation import config_problems
from studio.config_file import apply_settings, read_config_file, resolved_paths, with_preset

CPU = Device("cpu", "a laptop", 2**34, 2**33)
CARD = Device("cuda", "RTX 3060", 12 * 2**30, 11 * 2**30)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", Code.FILE_EMPTY),
        (b"# only a comment\n", Code.FILE_EMPTY),
        (b"just text", Code.CONFIG_UNREADABLE),
        (b"- a\n- b\n", Code.CONFIG_UNREADABLE),
        (b"a: [1, 2\n", Code.CONFIG_UNREADABLE),
        (b"1: 2\n", Code.CONFIG_UNREADABLE),
        (b"\xff\xfe\x00", Code.CONFIG_UNREADABLE),
    ],
)
def test_non_config_file_is_an_error(tmp_path: Path, content: bytes, code: Code) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(FineTuneError) as raised:
        read_config_file(tmp_path / "c.yaml")
    assert raised.value.problems[0].code == code


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none.yaml", Code.FILE_MISSING), (tmp_path, Code.CONFIG_UNREADABLE)):
        with pytest.raises(FineTuneError) as raised:
            read_config_file(path)
        assert raised.value.problems[0].code == code


def test_nested_settings_keep_their_siblings() -> None:
    values = {"max_length": 512, "lora": {"r": 8, "lora_alpha": 16}}
    merged = apply_settings(
        values, ["lora.r=4", "learning_rate=1e-3", "name=", "load_in_8bit=true", "sample_prompts=[Hi, 你好]"]
    )
    assert merged["lora"] == {"r": 4, "lora_alpha": 16}
    assert values["lora"] == {"r": 8, "lora_alpha": 16}
    config = FineTuneConfig.model_validate({**merged, "dataset": "x"})
    assert (config.learning_rate, config.load_in_8bit, config.sample_prompts, config.max_length) == (
        1e-3,
        True,
        ["Hi", "你好"],
        512,
    )
    with pytest.raises(FineTuneError):
        apply_settings({}, ["max_length"])


def test_omitted_settings_come_from_machine_preset() -> None:
    full, name = with_preset({"dataset": "x", "max_length": 99, "lora": {"r": 4}}, CARD, None)
    config = FineTuneConfig.model_validate(full)
    assert (name, config.load_in_8bit, config.max_length, config.lora.r) == ("rtx_3060", True, 99, 4)
    assert config.model_name == "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    full, name = with_preset({"dataset": "x"}, CPU, None)
    assert (name, full["model_name"]) == ("laptop_cpu", "starter")
    assert with_preset({}, CPU, "minimal")[0]["load_in_4bit"] is True
    assert with_preset({}, CPU, "minimal")[0]["lora"] == {"r": 4, "lora_alpha": 8}


def test_invalid_values_pass_through_to_validation() -> None:
    full, _ = with_preset({"dataset": "x", "lora": 5, "typo": 1}, CPU, None)
    assert {problem.params["field"] for problem in config_problems(full)} == {"lora", "typo"}
    with pytest.raises(FineTuneError) as raised:
        with_preset({}, CPU, "rtx_9999")
    assert "rtx_3060" in raised.value.problems[0].params["known"]


def test_a_dataset_may_lie_beside_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").touch()
    assert resolved_paths({"dataset": "rows.jsonl"}, tmp_path)["dataset"] == str(tmp_path / "rows.jsonl")
    assert resolved_paths({"dataset": "other.jsonl"}, tmp_path)["dataset"] == "other.jsonl"
    assert resolved_paths({}, tmp_path) == {}
    monkeypatch.chdir(tmp_path)
    assert resolved_paths({"dataset": "rows.jsonl"}, tmp_path / "elsewhere")["dataset"] == str(tmp_path / "rows.jsonl")


def test_a_relative_model_folder_is_from_here_or_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    assert resolved_paths({"model_name": "./tiny"}, tmp_path)["model_name"] == str(tmp_path / "tiny")
    (tmp_path / "starter").mkdir()  # somebody's folder, and not what the word means
    assert resolved_paths({"model_name": "starter"}, tmp_path)["model_name"] == "starter"


@pytest.mark.parametrize("setting", ["name=2020-13-45", "seed=" + "9" * 5000, "name=" + "[" * 5000])
def test_invalid_yaml_values_stay_text(setting: str) -> None:
    assert isinstance(next(iter(apply_settings({}, [setting]).values())), str)


def test_duplicate_key_is_named_with_both_lines(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("dataset: a.jsonl\nlora: {r: 8}\ndataset: b.jsonl\n")
    with pytest.raises(FineTuneError, match=r"line 3: 'dataset' appears twice \(first on line 1\)"):
        read_config_file(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text("lora:\n  r: 8\n  r: 16\n")
    with pytest.raises(FineTuneError, match="'r' appears twice"):
        read_config_file(tmp_path / "c.yaml")


def test_yaml_s_own_merge_of_mappings_works(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: &base {r: 8}\nlora: {<<: *base, lora_alpha: 16}\n")
    assert read_config_file(tmp_path / "a.yaml")["lora"] == {"r": 8, "lora_alpha": 16}


@pytest.mark.parametrize(("text", "value"), [("8", 8), ("0", 0), ("-1", -1), ("0x10", 16), ("1_000", 1000)])
def test_whole_numbers_are_read_as_they_look(tmp_path: Path, text: str, value: int) -> None:
    (tmp_path / "a.yaml").write_text(f"seed: {text}\n")
    assert read_config_file(tmp_path / "a.yaml")["seed"] == value


def test_leading_zero_is_rejected_not_octal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("lora:\n  r: 010\n")
    with pytest.raises(FineTuneError, match="line 2: '010' would be read as an octal number"):
        read_config_file(tmp_path / "a.yaml")
