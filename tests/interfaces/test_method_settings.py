from typing import get_args

import pytest

from interfaces.config import FineTuneConfig, config_problems, method_of, token_budget
from interfaces.method_settings import METHODS, Method, methods_for


def test_each_method_has_its_settings_in_the_config() -> None:
    assert tuple(METHODS) == get_args(Method)
    for name, settings in METHODS.items():
        assert type(method_of(FineTuneConfig(method=name))) is settings  # type: ignore[arg-type]


def test_a_method_is_proposed_for_what_the_rows_hold() -> None:
    assert methods_for("pairs") == ["dpo", "orpo"]
    assert methods_for("labels") == ["kto"]
    assert methods_for("texts") == ["pretrain"]
    assert "sft" in methods_for("answers")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"method": "dpo", "dpo": {"beta": 0}}, "dpo.beta"),
        ({"method": "dpo", "dpo": {"loss_type": "exo_pair"}}, "dpo.label_smoothing"),
        ({"method": "orpo", "long_rows": "split"}, "long_rows"),
        ({"method": "kto", "per_device_train_batch_size": 1}, "per_device_train_batch_size"),
        ({"method": "kto", "packing": True}, "packing"),
        ({"method": "dop"}, "method"),
        ({"dpo": {"betta": 1}}, "dpo.betta"),
    ],
)
def test_settings_that_a_method_cannot_use_are_named(changes: dict[str, object], field: str) -> None:
    assert [problem.params["field"] for problem in config_problems({"dataset": "d", **changes})] == [field]


def test_pre_training_always_packs() -> None:
    config = FineTuneConfig(method="pretrain", per_device_train_batch_size=2, max_length=128)
    assert token_budget(config) == 256
    assert token_budget(config.model_copy(update={"max_tokens_per_batch": 512})) == 512
    assert token_budget(config.model_copy(update={"method": "sft"})) == 0


def test_settings_of_other_methods_do_not_matter() -> None:
    unused = {"method": "sft", "long_rows": "split", "per_device_train_batch_size": 1, "dpo": {"loss_type": "exo_pair"}}
    assert not config_problems({"dataset": "d", **unused})
