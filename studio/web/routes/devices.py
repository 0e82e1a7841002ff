"""`/api/devices`: what there is to train on, and how busy it is now."""

from __future__ import annotations

from fastapi import APIRouter

from studio.sizing.devices import DeviceStatus, devices_now
from studio.web.errors import PlainRoute

router = APIRouter(prefix="/api/devices", route_class=PlainRoute)


@router.get("")
def read_devices() -> list[DeviceStatus]:
    return devices_now()
