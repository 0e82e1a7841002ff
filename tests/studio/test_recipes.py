"""Recipes: built in and one's own."""

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.presets import PRESETS
from interfaces.problems import Code
from interfaces.validation import config_errors
from studio.pages.train import new_form
from studio.recipes import BUILT_IN, choose_default, delete_recipe, recipes_of, save_recipe
from studio.sizing.estimate import changed


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("recipe", BUILT_IN)
def test_built_in_recipes_are_valid_on_every_preset(preset: str, recipe: str) -> None:
    config = {**PRESETS[preset]().model_dump(), "dataset": "rows"}
    errors = config_errors(changed(config, BUILT_IN[recipe]))
    assert [error for error in errors if error.params.get("field") != "dataset"] == []


def test_own_recipe_is_saved_replaced_and_deleted(home: Home) -> None:
    save_recipe(home, " my way ", {"learning_rate": 1e-4, "lora.r": 4})
    save_recipe(home, "my way", {"learning_rate": 3e-4})
    [own] = [recipe for recipe in recipes_of(home).recipes if not recipe.built_in]
    assert (own.name, own.settings) == ("my way", {"learning_rate": 3e-4})
    delete_recipe(home, "my way")
    assert all(recipe.built_in for recipe in recipes_of(home).recipes)


@pytest.mark.parametrize("name", ["", "  ", "quick", "a\nb", "x" * 61])
def test_unusable_name_is_refused(home: Home, name: str) -> None:
    with pytest.raises(FineTuneError) as refused:
        save_recipe(home, name, {})
    assert refused.value.problems[0].params["field"] == "name"


@pytest.mark.parametrize(
    ("settings", "code"), [({"lora.r": 0}, Code.VALUE_INVALID), ({"lora.size": 3}, Code.UNKNOWN_KEY)]
)
def test_invalid_settings_are_refused(home: Home, settings: dict[str, int], code: Code) -> None:
    with pytest.raises(FineTuneError) as refused:
        save_recipe(home, "mine", dict(settings))
    assert [problem.code for problem in refused.value.problems] == [code]
    assert len(recipes_of(home).recipes) == len(BUILT_IN)


def test_new_form_starts_with_the_default_recipe(home: Home) -> None:
    assert new_form(home, "laptop_cpu", "en")["lora__r"] == 16
    save_recipe(home, "mine", {"lora.r": 4})
    choose_default(home, "mine")
    assert new_form(home, "laptop_cpu", "en")["lora__r"] == 4
    delete_recipe(home, "mine")
    assert recipes_of(home).default == "balanced"


def test_damaged_file_leaves_the_built_in_recipes(home: Home) -> None:
    home.path.mkdir(parents=True, exist_ok=True)
    home.recipes.write_text('{"recipes": 3}')
    assert [recipe.name for recipe in recipes_of(home).recipes] == list(BUILT_IN)
