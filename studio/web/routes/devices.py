"""`/api/devices`: the training devices and their current utilization."""

from __future__ import annotations

from fastapi import APIRouter

from studio.sizing.devices import DeviceStatus, devices_now
from studio.web.errors import PlainRoute

router = APIRouter(prefix="/api/devices", route_class=PlainRoute)


@router.get("")
def read_devices() -> list[DeviceStatus]:
    return devices_now()
