"""Recipes: named sets of settings on top of a preset. Three are built in; a home's own ones are in its recipes.json."""

from __future__ import annotations

import threading

from pydantic import BaseModel, Field, ValidationError

from interfaces.dotted_names import nested
from interfaces.errors import FineTuneError
from interfaces.files import read_json, write_json
from interfaces.folders import Home
from interfaces.problems import Changes, Code
from interfaces.validation import config_errors

BUILT_IN: dict[str, Changes] = {
    "quick": {"num_train_epochs": 1.0, "lora.r": 8, "lora.lora_alpha": 16.0},
    "balanced": {},
    "thorough": {
        "num_train_epochs": 5.0, "lora.r": 32, "lora.lora_alpha": 64.0, "eval_steps": 0.1, "save_steps": 0.1,
        "load_best_model_at_end": True,
    },
}  # fmt: skip
"""Quick looks whether the data is learned at all. Balanced is the preset. Thorough gives more capacity and passes, and
keeps the checkpoint with the lowest validation loss, because five passes may be too many."""
MOST_CHARACTERS = 60
MOST_RECIPES = 100
_guard = threading.Lock()


class Recipe(BaseModel):
    """A recipe sets `settings`, by their dotted names; all others are the preset's."""

    name: str
    settings: Changes
    built_in: bool = False


class RecipeBook(BaseModel):
    """The recipes of a home. A new form starts with the one named `default`."""

    default: str = "balanced"
    recipes: list[Recipe] = Field(default_factory=list)


def recipes_of(home: Home) -> RecipeBook:
    """Return the built-in recipes and the home's own ones."""
    book = _own(home)
    built_in = [Recipe(name=name, settings=settings, built_in=True) for name, settings in BUILT_IN.items()]
    names = {recipe.name for recipe in [*built_in, *book.recipes]}
    return RecipeBook(default=book.default if book.default in names else "balanced", recipes=[*built_in, *book.recipes])


def save_recipe(home: Home, name: str, settings: Changes) -> None:
    """Keep a recipe of one's own. One with the same name is replaced.

    Raises:
        FineTuneError: the name is taken by a built-in recipe, empty or too long, or a setting is invalid.
    """
    plain = name.strip()
    if not plain.isprintable() or not plain or len(plain) > MOST_CHARACTERS or plain in BUILT_IN:
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="name", value=repr(plain[:MOST_CHARACTERS]), expected="recipe_name"
        )
    if errors := [one for one in config_errors(nested(settings)) if one.params.get("field") != "dataset"]:
        raise FineTuneError(*errors)
    with _guard:
        book = _own(home)
        others = [recipe for recipe in book.recipes if recipe.name != plain][-MOST_RECIPES + 1 :]
        _keep(home, book.model_copy(update={"recipes": [*others, Recipe(name=plain, settings=settings)]}))


def delete_recipe(home: Home, name: str) -> None:
    """Remove a recipe of one's own; nothing happens if there is none."""
    with _guard:
        book = _own(home)
        _keep(home, book.model_copy(update={"recipes": [one for one in book.recipes if one.name != name]}))


def choose_default(home: Home, name: str) -> None:
    """Start new forms with this recipe."""
    with _guard:
        _keep(home, _own(home).model_copy(update={"default": name}))


def _own(home: Home) -> RecipeBook:
    try:
        return RecipeBook.model_validate(read_json(home.recipes) or {})
    except ValidationError:
        return RecipeBook()


def _keep(home: Home, book: RecipeBook) -> None:
    home.path.mkdir(parents=True, exist_ok=True)
    write_json(home.recipes, book.model_dump())
