"""The settings of a run, as its page shows them."""

from interfaces.config import UNKNOWN_DATA
from interfaces.folders import Home
from interfaces.presets import PRESETS
from studio.pages.run_settings import settings_of
from tests.support.records import recorded_run


def test_only_what_differs_from_the_preset_is_listed(home: Home) -> None:
    config = PRESETS["laptop_cpu"]().model_dump(exclude={"output_dir"})
    folder = recorded_run(home, **{**config, "dataset": "rows", "learning_rate": 0.00321, "seed": 7})
    found = settings_of(folder)
    assert found.preset == "laptop_cpu"
    assert {one.name: (one.value, one.preset) for one in found.differences} == {
        "learning_rate": (0.00321, 5e-4), "seed": (7, 42),
    }  # fmt: skip
    assert (found.model, found.header["learning_rate"], found.header["lora.r"]) == ("starter", 0.00321, 16)
    assert "learning_rate: 0.00321" in found.yaml


def test_of_an_imported_adapter_only_what_it_says_of_itself_is_shown(home: Home) -> None:
    lora = {"r": 8, "lora_alpha": 16}
    found = settings_of(recorded_run(home, model_name="starter", dataset=UNKNOWN_DATA, lora=lora))
    assert (found.imported, found.dataset, found.header) == (True, "", {"lora.r": 8})
    assert {one.name for one in found.differences} == {"lora.r", "lora.lora_alpha"}
    assert "learning_rate" not in found.yaml
    assert not settings_of(recorded_run(home, model_name="starter")).imported
