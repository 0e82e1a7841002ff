"""The demo's parts; the whole of it runs in tests/story."""

from interfaces.config import FineTuneConfig
from interfaces.validation import config_problems
from studio.cli.demo import is_right
from studio.datasets.sample import demo_config, questions


def test_demo_settings_are_valid_with_held_out_prompts() -> None:
    config = demo_config()
    assert config_problems(config) == []
    assert config["sample_prompts"] == [row.question for row in questions()]
    assert FineTuneConfig.model_validate(config).cpu_threads == 2


def test_answer_is_right_with_all_expected_pieces() -> None:
    assert is_right("It takes 47 MINUTES.", ["47 minutes"])
    assert not is_right("It takes 47 hours.", ["47 minutes"])
    assert not is_right("", ["a", "b"])
