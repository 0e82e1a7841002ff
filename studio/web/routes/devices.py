"""`/api/devices`: what there is to train on, and how busy it is now."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from studio.sizing.devices import devices_now

router = APIRouter(prefix="/api/devices")


@router.get("")
def read_devices() -> list[dict[str, Any]]:
    return devices_now()
