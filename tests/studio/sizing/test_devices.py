from pathlib import Path

import pytest

from interfaces import Device
from interfaces.device import GIB
from interfaces.errors import FineTuneError
from studio.sizing import devices as module
from studio.sizing.devices import (
    CARDS,
    chosen_device,
    detect_devices,
    devices_now,
    named_device,
    torch_is_cpu_build,
    usable_device,
)


def test_the_cpu_is_always_there_and_last() -> None:
    cpu = detect_devices()[-1]
    assert cpu.kind == "cpu"
    assert "cores" in cpu.name
    assert 0 < cpu.free_memory_bytes <= cpu.total_memory_bytes


def test_a_card_is_used_only_by_a_torch_that_sees_it() -> None:
    card, cpu = Device("cuda", "a card", 1, 1), Device("cpu", "a cpu", 1, 1)
    assert usable_device([card, cpu]) == (cpu if torch_is_cpu_build() else card)
    assert usable_device([cpu]) == cpu


@pytest.mark.parametrize("text", ["rtx_3060", "RTX 3060", "NVIDIA GeForce RTX 3060", "12GB", "12 GiB", "12g"])
def test_a_card_is_known_by_its_name_or_its_memory(text: str) -> None:
    card = named_device(text)
    assert card.kind == "cuda"
    assert 11.5 * GIB < card.total_memory_bytes == card.free_memory_bytes < 12 * GIB


def test_every_card_of_the_list_can_be_asked_for() -> None:
    assert all(named_device(name).name == title for name, (title, _) in CARDS.items())
    assert not named_device("t4").bf16
    assert named_device("cpu").kind == "cpu"


@pytest.mark.parametrize("text", ["", "abacus", "GB", "-3GB", "0GB", "12", "nanGB", "1e9GB"])
def test_unknown_device_error_lists_known_devices(text: str) -> None:
    with pytest.raises(FineTuneError, match="rtx_3060"):
        named_device(text)


def test_configured_device_or_usable_fallback_is_chosen() -> None:
    cards = [Device("cuda", "first", 1, 1, 0), Device("cuda", "second", 1, 1, 1)]
    cpu = Device("cpu", "a cpu", 1, 1)
    assert chosen_device("cuda:1", [*cards, cpu]).name == "second"
    assert chosen_device("cuda", [*cards, cpu]).name == "first"
    assert chosen_device("cpu", [*cards, cpu]) == cpu
    assert chosen_device("mps", [cpu]) == chosen_device("auto", [cpu]) == cpu


def test_a_card_of_amd_is_read_from_the_kernel(tmp_path: Path) -> None:
    place = tmp_path / "card1" / "device"
    place.mkdir(parents=True)
    (place / "mem_info_vram_total").write_text("16000\n")
    (place / "mem_info_vram_used").write_text("6000\n")
    (tmp_path / "card0" / "device").mkdir(parents=True)  # one that shows pictures only
    (card,) = module._amd(tmp_path)
    assert (card.kind, card.total_memory_bytes, card.free_memory_bytes, card.index) == ("cuda", 16000, 10000, 0)


def test_device_utilization_is_reported() -> None:
    reported = devices_now()
    assert [device.used for device in reported].count(True) == 1
    assert reported[-1].kind == "cpu"
    assert 0 <= (reported[-1].busy_percent or 0) <= 100
