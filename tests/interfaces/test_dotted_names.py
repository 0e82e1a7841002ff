from interfaces.config import FineTuneConfig
from interfaces.dotted_names import NESTED, flat, nested, with_changes


def test_flat_and_nested_undo_each_other() -> None:
    config = FineTuneConfig().model_dump()
    assert {"lora.r", "dpo.beta", "learning_rate"} <= flat(config).keys()
    assert nested(flat(config)) == config
    assert not set(NESTED) & flat(config).keys()


def test_changes_reach_a_group_and_leave_the_config_as_it_was() -> None:
    config = FineTuneConfig()
    changed = with_changes(config, {"dpo.beta": 0.5, "method": "dpo", "lora.r": 4})
    assert (changed.dpo.beta, changed.method, changed.lora.r) == (0.5, "dpo", 4)
    assert (config.dpo.beta, config.method, config.lora.r) == (0.1, "sft", 16)
    assert changed.dpo.loss_type == config.dpo.loss_type
