"""The memory of a chat: weights, process, and a cache of keys and values that is computed by hand here."""

import pytest

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from studio.models.catalog import BY_ID
from studio.sizing.chat_memory import chat_bytes

SHAPE = BY_ID["Qwen/Qwen2.5-0.5B-Instruct"].shape
CPU = Device("cpu", "a processor", 1 << 34, 1 << 34, bf16=True)


@pytest.mark.parametrize(("settings", "weights"), [({}, 988e6), ({"load_in_4bit": True}, 480e6)])
def test_chat_needs_weights_process_and_cache(settings: dict[str, bool], weights: float) -> None:
    needed = chat_bytes(SHAPE, FineTuneConfig(model_name="x", dataset="x", **settings), CPU)
    cache = 2 * 24 * (2 * 64) * 2 * 4096  # keys and values, layers, two heads of 64, two bytes, tokens
    assert needed == pytest.approx(weights + 800e6 + cache, rel=0.05)
