"""A merged model as transformers saves one: safetensors in shards, its config, and the tokenizer of the run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from interfaces.errors import FineTuneError
from interfaces.files import publish, read_json, write_text
from interfaces.problems import Code
from trainer.artifacts.export import TOKENIZER_FILES
from trainer.artifacts.merged_model import MergedModel
from trainer.tokens.template import ChatTemplate

SHARD_BYTES = 2_000_000_000
CHUNK_ELEMENTS = 1 << 22
"""Numbers that are converted at once, so that a large tensor doesn't exist twice."""
LARGEST_F16 = torch.finfo(torch.float16).max
_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_FLOATS = {"F64", "F32", "F16", "BF16"}

Tell = Callable[[int, int], None]
"""Called with the bytes that are written and their total."""


def ends_of(template: ChatTemplate) -> list[int]:
    """Return the tokens that end an answer, the one that was trained on first."""
    known = [template.end_id, template.tokenizer.eos_token_id, *template.stop_ids]
    return [token for token in dict.fromkeys(known) if token is not None]


class MergedFolder:
    """The folder of a merged model that is yet to be written, in the number format f32, f16 or bf16."""

    def __init__(self, merged: MergedModel, number_format: str) -> None:
        self._merged, self._format = merged, number_format
        self._shards = list(self._split())

    @property
    def bytes(self) -> int:
        """The size of all tensors."""
        return sum(map(self._size, self._merged.names))

    def write(self, folder: Path, base: Path, adapter: Path, template: ChatTemplate, tell: Tell) -> None:
        """Write the model into `folder`. Shards that an earlier call has completed there are kept.

        Raises:
            FineTuneError: a weight is too large for the number format.
        """
        folder.mkdir(parents=True, exist_ok=True)
        count, done, total = len(self._shards), 0, self.bytes
        places: dict[str, str] = {}
        for number, shard in enumerate(self._shards, start=1):
            name = "model.safetensors" if count == 1 else f"model-{number:05}-of-{count:05}.safetensors"
            places |= dict.fromkeys(shard, name)
            if not (folder / name).is_file():
                self._write_shard(shard, folder / name, tell, done, total)
            done += sum(map(self._size, shard))
            tell(done, total)
        if count > 1:
            _write_json(
                folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places}
            )
        write_settings(folder, base, _DTYPES[self._format], ends_of(template))
        for name in TOKENIZER_FILES:
            source = next((place / name for place in (adapter, base) if (place / name).is_file()), None)
            if source is not None:
                shutil.copyfile(source, folder / name)

    def _split(self) -> Iterator[list[str]]:
        """Split the tensors into shards, in the order of the base's files."""
        shard: list[str] = []
        for name in self._merged.names:
            if shard and sum(map(self._size, [*shard, name])) > SHARD_BYTES:
                yield shard
                shard = []
            shard.append(name)
        yield shard

    def _dtype(self, name: str) -> str:
        """Return safetensors' name of a tensor's number format. Only floats are converted."""
        stored = self._merged.tensors[name].dtype
        return self._format.upper() if stored in _FLOATS else stored

    def _size(self, name: str) -> int:
        return math.prod(self._merged.tensors[name].shape) * _BYTES[self._dtype(name)]

    def _write_shard(self, names: Sequence[str], path: Path, tell: Tell, done: int, total: int) -> None:
        """Write one file in the format of safetensors: the length of the header, the header as JSON, and the tensors."""
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        at = 0
        for name in names:
            end = at + self._size(name)
            shape = list(self._merged.tensors[name].shape)
            header[name] = {"dtype": self._dtype(name), "shape": shape, "data_offsets": [at, end]}
            at = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        unfinished = path.with_name(f"{path.name}.part")
        with unfinished.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                for part in _parts(self._merged.tensor(name), _DTYPES[self._format], name):
                    file.write(part)
                    done += len(part)
                tell(done, total)
        publish(unfinished, path)


def write_settings(folder: Path, base: Path, dtype: torch.dtype, ends: Sequence[int]) -> None:
    """Write a base model's settings, and how to generate with it, for weights in another number format.

    `ends` are the tokens that end an answer.
    """
    left_out = ("_name_or_path", "_model_name_or_path", "torch_dtype")  # they may hold a path of this machine
    config = {key: value for key, value in (read_json(base / "config.json") or {}).items() if key not in left_out}
    _write_json(folder / "config.json", {**config, "dtype": str(dtype).removeprefix("torch.")})
    generation = read_json(base / "generation_config.json") or {}
    generation.pop("schema_version", None)
    _write_json(folder / "generation_config.json", {**generation, "eos_token_id": list(ends)})


def _write_json(path: Path, record: dict[str, object]) -> None:
    """Write a file of transformers, which has no version of ours."""
    write_text(path, json.dumps(record, indent=2) + "\n")


def _parts(tensor: torch.Tensor, dtype: torch.dtype, name: str) -> Iterator[memoryview]:
    """Yield the bytes of a tensor in another number format."""
    for part in tensor.reshape(-1).split(CHUNK_ELEMENTS):
        if part.is_floating_point() and dtype == torch.float16:
            if max(map(abs, map(float, torch.aminmax(part)))) > LARGEST_F16:
                raise FineTuneError.of(Code.MERGE_UNSUPPORTED, reason="too_large_for_f16", value=name)
            part = part.float()  # from bf16 by way of fp32 is twice as fast
        made = part.to(dtype) if part.is_floating_point() else part
        yield memoryview(made.contiguous().view(torch.uint8).numpy()).cast("B")
