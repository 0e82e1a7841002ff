from interfaces import Device
from studio.devices import detect_devices, torch_is_cpu_build, usable_device


def test_the_cpu_is_always_there_and_last() -> None:
    cpu = detect_devices()[-1]
    assert cpu.kind == "cpu"
    assert "cores" in cpu.name
    assert 0 < cpu.free_memory_bytes <= cpu.total_memory_bytes


def test_a_card_is_used_only_by_a_torch_that_sees_it() -> None:
    card, cpu = Device("cuda", "a card", 1, 1), Device("cpu", "a cpu", 1, 1)
    assert usable_device([card, cpu]) == (cpu if torch_is_cpu_build() else card)
    assert usable_device([cpu]) == cpu
