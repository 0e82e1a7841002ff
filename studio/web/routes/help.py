"""`/api/help`: everything that can be looked up, for the Help page and the palette."""

from __future__ import annotations

from fastapi import APIRouter

from studio.pages.help import Help, help_of
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language

router = APIRouter(prefix="/api/help", route_class=PlainRoute)


@router.get("")
def read_help(language: Language = "en") -> Help:
    return help_of(language)
