"""The memory of a child that answers chats: the base model, the process, and the cache of keys and values."""

from __future__ import annotations

from pathlib import Path

from interfaces.chats import MOST_POSITIONS
from interfaces.config import FineTuneConfig
from interfaces.device import Device
from studio.models.architecture import Architecture
from studio.sizing.estimate import PROCESS_BYTES, step_spec, weights_bytes

CACHED_TOKENS = 4096
"""Of the conversations that are expected: prompt and answer, of all speakers together."""


def chat_bytes(shape: Architecture, config: FineTuneConfig, device: Device) -> int:
    """Return the bytes that a chat with this model needs on a device.

    The cache holds a key and a value of `kv_heads` times `head_dim` numbers for each token and layer.
    """
    spec = step_spec(config, device, (1,), None, "trained")
    return weights_bytes(shape, spec) + _cache_bytes(shape, spec.width, CACHED_TOKENS) + PROCESS_BYTES[device.kind]


def gguf_bytes(shape: Architecture, file: Path) -> int:
    """Return the bytes that a chat with a GGUF file needs: the file, the cache in f16, and the process.

    Raises:
        OSError: the file is gone.
    """
    return file.stat().st_size + _cache_bytes(shape, 2, MOST_POSITIONS) + PROCESS_BYTES["cpu"]


def _cache_bytes(shape: Architecture, width: int, tokens: int) -> int:
    return 2 * shape.layers * shape.keys * width * tokens
