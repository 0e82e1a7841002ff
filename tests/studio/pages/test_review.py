"""What the form says beside Start, and which fields it marks."""

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home
from interfaces.presets import PRESETS
from interfaces.texts import LANGUAGES, Texts, texts
from studio.datasets.library import ensure_dataset
from studio.pages.form import widget_values
from studio.pages.review import Review, changed_from, form_facts, review
from studio.pages.train import config_of
from tests.conftest import write_rows


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def reviewed(home: Home, language: str, **values: Any) -> Review:
    return review(home, config_of({"model": "starter", **values}, language), words(language), language)


def words(language: str) -> Texts:
    return texts("page", language)


def test_missing_dataset_blocks_start_and_marks_no_field(home: Home, language: str) -> None:
    found = reviewed(home, language)
    assert found == Review(f"- {words(language)['missing_data']}", False, {})


def test_valid_form_is_ready(home: Home, language: str, rows_file: Path) -> None:
    found = reviewed(
        home, language, dataset=ensure_dataset(home, str(rows_file)), packing=True, max_length=100,
    )  # fmt: skip
    assert (found.ready, found.fields) == (True, {})
    assert "1600" in found.text  # four batches of four times 100 tokens


@pytest.mark.parametrize(("rate", "remarked"), [(1e-6, True), (2e-5, False), (5e-4, False), (0.01, True)])
def test_unusual_learning_rate_is_remarked_on(
    home: Home, language: str, rows_file: Path, rate: float, remarked: bool
) -> None:
    found = reviewed(home, language, dataset=ensure_dataset(home, str(rows_file)), learning_rate=rate)
    assert found.ready
    assert ("2e-05" in found.text.replace("\\", "")) is remarked


def test_pairs_are_refused_with_a_method_that_suits_them(home: Home, language: str, tmp_path: Path) -> None:
    rows = write_rows(
        tmp_path / "pairs.jsonl", [{"prompt": f"q{at}", "chosen": "a", "rejected": "b"} for at in range(5)]
    )
    dataset = ensure_dataset(home, str(rows))
    found = reviewed(home, language, dataset=dataset)
    assert (found.ready, found.cure) == (False, {"method": "dpo"})
    assert "dpo" in found.text
    assert json.loads(form_facts(home, config_of({"model": "starter"}, language), found, {}))["cure"] == found.cure
    cured = reviewed(home, language, dataset=dataset, method="dpo")
    assert (cured.ready, cured.cure) == (True, {"learning_rate": 2e-5})  # the preset's is for fine-tuning
    usual = reviewed(home, language, dataset=dataset, method="dpo", learning_rate=2e-5)
    assert (usual.ready, usual.cure) == (True, {})
    scores = reviewed(home, language, dataset=dataset, method="reward")
    assert (scores.ready, scores.cure) == (False, {"long_rows": "drop"})
    assert "drop" in scores.fields["long_rows"]


def test_each_invalid_field_is_marked_with_its_problem(home: Home, language: str, rows_file: Path) -> None:
    found = reviewed(
        home, language, dataset=ensure_dataset(home, str(rows_file)), max_length=3, lora__r=None,
    )  # fmt: skip
    assert not found.ready
    assert set(found.fields) == {"max_length", "lora.r"}
    assert "3" in found.fields["max_length"]
    assert "max\\_length" in found.text
    facts = json.loads(form_facts(home, config_of({"model": "starter", "max_length": 3}, language), found, {}))
    assert facts["problems"] == found.fields
    assert facts["budget"] == 0


@pytest.mark.parametrize("model", ["nonsense", "/no/such/folder", "a/b/c", "~nobody-like-it/x"])
def test_unknown_model_blocks_start(home: Home, language: str, rows_file: Path, model: str) -> None:
    found = reviewed(home, language, dataset=ensure_dataset(home, str(rows_file)), model=model)
    assert not found.ready
    assert model.strip("/").partition("/")[0] in found.text


def test_model_that_the_hub_may_have_is_ready(home: Home, language: str, rows_file: Path) -> None:
    found = reviewed(home, language, dataset=ensure_dataset(home, str(rows_file)), model="some/model")
    assert found.ready


def test_invalid_rows_block_start_unless_skipped(home: Home, language: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n{"prompt": 1}\n')
    dataset = ensure_dataset(home, str(path))
    assert not reviewed(home, language, dataset=dataset).ready
    assert reviewed(home, language, dataset=dataset, bad_rows="skip").ready


def test_changes_from_preset_name_its_values(language: str) -> None:
    preset = PRESETS["laptop_cpu"]()
    same = config_of(
        {key.replace(".", "__"): value for key, value in widget_values(preset, language).items()}, language
    )
    assert changed_from(preset, {**same, "name": "my run", "model_name": "a/b"}) == {}
    other = {**same, "learning_rate": 1e-3, "lora": {**same["lora"], "r": 64}}
    assert changed_from(preset, other) == {"learning_rate": preset.learning_rate, "lora.r": preset.lora.r}
    assert changed_from(preset, {**same, "learning_rate": None}) == {"learning_rate": preset.learning_rate}


def test_names_are_escaped(home: Home, language: str) -> None:
    assert "<b>" not in reviewed(home, language, dataset="<b>*x*</b>.jsonl").text


def test_full_disk_blocks_start(home: Home, language: str, rows_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    monkeypatch.setattr("interfaces.disk.free_bytes", lambda _path: 1_000)
    found = reviewed(home, language, dataset=dataset)
    assert not found.ready
    assert "50.0 MB" in found.text.replace("\\", "")


def test_fraction_of_a_whole_number_is_refused(home: Home, language: str, rows_file: Path) -> None:
    """The field must not show one number while another is trained with."""
    found = reviewed(home, language, dataset=ensure_dataset(home, str(rows_file)), lora__r=2.7)
    assert not found.ready
    assert set(found.fields) == {"lora.r"}
