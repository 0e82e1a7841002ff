"""`/api/notifications`: what is set up for the end of a run, the page's own webhook, and a test."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from interfaces.folders import Home
from studio.runs.notify import Attempted, Notifications, keep_webhook, notifications_of, send_test
from studio.web.errors import PlainRoute


def notifications_router(home: Home) -> APIRouter:
    """The routes of one home's notifications."""
    router = APIRouter(prefix="/api/notifications", route_class=PlainRoute)

    @router.get("")
    def read_notifications() -> Notifications:
        return notifications_of(home)

    @router.post("/webhook")
    def set_webhook(address: Annotated[str, Body(embed=True)]) -> Notifications:
        keep_webhook(home, address)
        return notifications_of(home)

    @router.post("/test")
    def test() -> list[Attempted]:
        return send_test(home)

    return router
