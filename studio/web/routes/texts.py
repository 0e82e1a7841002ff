"""`/api/texts`: all page texts in one language. A page requests them once, and its parts share the response."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from interfaces.texts import texts
from studio.web.errors import PlainRoute

Language = Annotated[Literal["en", "zh"], Query()]
"""The page's language, as a query parameter."""

router = APIRouter(prefix="/api/texts", route_class=PlainRoute)


@router.get("/{language}")
def read_texts(language: Literal["en", "zh"]) -> dict[str, str | list[str]]:
    return texts("page", language).to_record()
