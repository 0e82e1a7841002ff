from interfaces.device import GIB, Device
from studio.sizing.records import DeviceMemory, EstimateRecord

CARD = Device("cuda", "a card", 12 * GIB, 11 * GIB, bf16=True)


def record(device: Device) -> EstimateRecord:
    return EstimateRecord(
        bytes={"weights": 3, "process": 2}, total_bytes=5, fit_level="fits", seconds=None, steps=None, tensor_bytes=3, host_bytes=5,
        disk_bytes=1, batch_tokens=64, device=DeviceMemory.of(device),
    )  # fmt: skip


def test_a_device_is_the_same_after_it_was_stored() -> None:
    stored = DeviceMemory.model_validate_json(DeviceMemory.of(CARD).model_dump_json())
    assert stored.device() == CARD


def test_what_is_measured_on_a_device_is_what_its_estimate_is_compared_by() -> None:
    assert record(CARD).comparable_bytes == 3, "a card's allocator counts tensors"
    assert record(Device("cpu", "a processor", GIB, GIB)).comparable_bytes == 5, "a processor's memory is all of it"
