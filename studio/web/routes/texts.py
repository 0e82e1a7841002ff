"""`/api/texts`: what the pages say, in one language. A page asks once, and all its parts share the answer."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from interfaces.texts import texts
from studio.web.errors import PlainRoute

router = APIRouter(prefix="/api/texts", route_class=PlainRoute)


@router.get("/{language}")
def read_texts(language: Literal["en", "zh"]) -> dict[str, str | list[str]]:
    return texts("page", language).to_record()
