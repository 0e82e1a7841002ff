import os
from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.problems import Code

pytestmark = pytest.mark.tiny


def test_config_overrides_the_probe() -> None:
    import torch

    from trainer.models.device import bf16_is_faster, choose_compute

    if torch.cuda.is_available():
        pytest.skip("asks for the CPU's own choice")
    assert choose_compute(FineTuneConfig(bf16=True)).dtype_name == "bfloat16"
    assert choose_compute(FineTuneConfig(bf16=False)).dtype_name == "float32"
    assert choose_compute(FineTuneConfig(cpu_threads=1)).threads == torch.get_num_threads() == 1
    assert bf16_is_faster(torch.device("cpu")) in (True, False)
    with pytest.raises(FineTuneError) as raised:
        choose_compute(FineTuneConfig(fp16=True))
    assert raised.value.problems[0].code == Code.DTYPE_UNAVAILABLE


def test_memory_is_this_process_s() -> None:
    import torch

    from trainer.models.device import memory_bytes, peak_memory_bytes

    device = torch.device("cpu")
    before = memory_bytes(device)
    block = torch.ones(50_000_000)
    assert memory_bytes(device) - before == pytest.approx(200_000_000, rel=0.2)
    assert peak_memory_bytes(device) >= before + 160_000_000
    assert block.numel() == 50_000_000


@pytest.mark.parametrize(
    ("wanted", "visible", "seen"),
    [
        ("auto", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda", "3,5", "3"),
        ("cuda:1", "3,5", "5"),
        ("cuda:4", "3,5", ""),
        ("cpu", None, "0"),
    ],
)
def test_a_run_sees_one_card(wanted: str, visible: str | None, seen: str) -> None:
    from trainer.models.device import see_one_card

    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    see_one_card(wanted, environment)
    assert environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": seen}


def test_missing_device_is_an_error() -> None:
    import torch

    from trainer.models.device import choose_compute

    assert choose_compute(FineTuneConfig(device="cpu")).device.type == "cpu"
    if not torch.backends.mps.is_available():
        with pytest.raises(FineTuneError, match="device"):
            choose_compute(FineTuneConfig(device="mps"))


@pytest.mark.gpu
def test_a_cuda_device_is_taken_when_it_is_there() -> None:
    import torch

    from trainer.models.device import choose_compute

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: run it on a machine with an NVIDIA card")
    assert choose_compute(FineTuneConfig()).device.type == "cuda"


def test_a_container_s_share_of_the_processor_counts(tmp_path: Path) -> None:
    from trainer.models.device import thread_counts

    cores = len(os.sched_getaffinity(0))
    assert max(thread_counts(tmp_path)) == cores  # nothing is limited
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert max(thread_counts(tmp_path)) == cores
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert thread_counts(tmp_path) == [1]
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert thread_counts(tmp_path) == [1]
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert max(thread_counts(tmp_path)) == cores


def test_the_thread_count_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor of which half the threads are no cores of their own, more of them are no faster."""
    import torch

    from trainer.models import device

    seconds = {1: 2.0, 2: 1.0, 4: 0.99, 8: 3.0}
    monkeypatch.setattr(device, "_time_product", lambda _dtype: seconds[torch.get_num_threads()])
    assert device.fastest_threads([1, 2, 4, 8]) == 2
    assert device.fastest_threads([8]) == 8
