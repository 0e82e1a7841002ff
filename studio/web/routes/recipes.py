"""`/api/recipes`: named sets of settings, three built in and the user's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from interfaces.folders import Home
from interfaces.problems import Changes
from studio.recipes import RecipeBook, choose_default, delete_recipe, recipes_of, save_recipe
from studio.web.errors import PlainRoute


def recipes_router(home: Home) -> APIRouter:
    """The routes of one home's recipes. Each returns all recipes."""
    router = APIRouter(prefix="/api/recipes", route_class=PlainRoute)

    @router.get("")
    def read_recipes() -> RecipeBook:
        return recipes_of(home)

    @router.post("")
    def save(name: Annotated[str, Body()], settings: Annotated[Changes, Body()]) -> RecipeBook:
        save_recipe(home, name, settings)
        return recipes_of(home)

    @router.post("/default")
    def set_default(name: Annotated[str, Body(embed=True)]) -> RecipeBook:
        choose_default(home, name)
        return recipes_of(home)

    @router.post("/delete")
    def delete(name: Annotated[str, Body(embed=True)]) -> RecipeBook:
        delete_recipe(home, name)
        return recipes_of(home)

    return router
