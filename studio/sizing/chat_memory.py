"""The memory of a child that answers chats: the base model, the process, and the cache of keys and values."""

from __future__ import annotations

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
    cache = 2 * shape.layers * shape.keys * spec.width * CACHED_TOKENS
    return weights_bytes(shape, spec) + cache + PROCESS_BYTES[device.kind]
