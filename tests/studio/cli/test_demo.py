"""The demo's parts; the whole of it runs in tests/story."""

from interfaces.config import FineTuneConfig, config_problems
from studio.cli.demo import demo_config, is_right
from studio.datasets.sample import questions


def test_the_demo_s_settings_are_sound_and_ask_the_held_out_questions() -> None:
    config = demo_config()
    assert config_problems(config) == []
    assert config["sample_prompts"] == [row.question for row in questions()]
    assert FineTuneConfig.model_validate(config).cpu_threads == 2


def test_an_answer_is_right_when_it_holds_all_that_is_expected() -> None:
    assert is_right("It takes 47 MINUTES.", ["47 minutes"])
    assert not is_right("It takes 47 hours.", ["47 minutes"])
    assert not is_right("", ["a", "b"])
