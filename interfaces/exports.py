"""Exports of fine-tuned models: the records in an export's folder (`interfaces/job_folders.py`).

request.json    what is to be exported (`ExportRequest`), written once by the studio
export.json     what was written, and the proof that it is the same model (`ExportRecord`), by the trainer
files/          what was written, unless the request names another place
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

from interfaces.files import write_json
from interfaces.job_folders import ExportFolder
from interfaces.records import read_as, read_required

ExportKind = Literal["adapter", "merged", "gguf", "ollama"]
EXPORT_KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
Quantization = Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"]
_GGUF: tuple[Quantization, ...] = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "bf16", "f32")
QUANTIZATIONS: dict[ExportKind, tuple[Quantization, ...]] = {
    "adapter": (), "merged": ("f16", "bf16", "f32"), "gguf": _GGUF, "ollama": _GGUF,
}  # fmt: skip
"""The number formats of each kind; the first is the default."""
EXACT: tuple[Quantization, ...] = ("f32", "f16")
"""Number formats whose answers have to be those of the merged weights in fp32, without exception."""
CLOSE: tuple[Quantization, ...] = ("bf16", "q8_0")
"""Number formats whose answers may differ only where two tokens are almost equally likely."""


class ExportRequest(BaseModel):
    """`request.json`. `out` is an absolute path; without it, the files stay in the export's folder."""

    model_config = ConfigDict(extra="forbid")

    kind: ExportKind
    quantization: Quantization | None = None
    step: int | None = Field(default=None, ge=0)
    """Export the adapter of this checkpoint instead of the run's result."""
    out: str = ""
    name: str = ""
    """The name of the file or folder, without a path."""
    proof: bool = True
    push: str = ""
    """The repository of the Hub that the files are pushed to, as OWNER/NAME."""
    public: bool = False
    """Whether a repository that doesn't exist yet becomes public, and one that is public may be pushed to."""
    created: float = 0.0

    @classmethod
    def of(cls, folder: ExportFolder) -> Self:
        """
        Raises:
            FineTuneError: the record is missing or damaged, or another version wrote it.
        """
        return read_required(folder.config, cls)

    def write(self, folder: ExportFolder) -> None:
        write_json(folder.config, self.model_dump(mode="json"))

    def target(self, folder: ExportFolder) -> Path:
        """Return where the files are once they are complete."""
        return Path(self.out) if self.out else folder.files / self.name

    def staged(self, folder: ExportFolder) -> Path:
        """Return where the files are until then."""
        target = self.target(folder)
        return target.with_name(f".{target.name}.part")

    def weights(self, target: Path) -> Path:
        """Return the file with the weights of a GGUF, which Ollama's folder holds beside its Modelfile."""
        return target / f"{self.name}.gguf" if self.kind == "ollama" else target


class ProofRow(BaseModel):
    """One prompt of a proof. `differs_at` is the first token that differs, counted from 0.

    `margin` is by how much the reference preferred its token there over its second choice, in logits.
    """

    prompt: str
    taught: bool
    reference: str
    answer: str
    differs_at: int | None = None
    margin: float | None = None


class Comparison(BaseModel):
    """Answers of one way to compute the model, beside those of fp32 on the merged weights in fp32."""

    way: Literal["peft", "transformers", "llama_cpp", "run"]
    number_format: str
    rows: list[ProofRow]

    @property
    def equal(self) -> int:
        return sum(row.differs_at is None for row in self.rows)


class Proof(BaseModel):
    """The comparison of the exported files, and as a control that of the run in its own number format.

    `passed` is None for number formats that are expected to differ.
    """

    exported: Comparison
    control: Comparison
    tokens: int
    passed: bool | None


class ExportRecord(BaseModel):
    """`export.json`. `path` is where the files are, `sha256` that of a single file."""

    path: str
    bytes: int
    sha256: str = ""
    number_formats: dict[str, int] = {}
    """The tensors of a GGUF in each type."""
    substituted: int = 0
    """Tensors whose rows don't divide into blocks of the type that was asked for, stored in another one."""
    has_template: bool | None = None
    """Whether the Modelfile of Ollama holds the chat template. Without it, Ollama has to recognize the template."""
    proof: Proof | None = None
    unproven: str = ""
    """Why there is no proof: a key of the texts' context 'reason'."""
    pushed: str = ""
    """The address of the repository that holds the files."""

    @classmethod
    def of(cls, folder: ExportFolder) -> Self | None:
        """None if there is none yet, or it is damaged.

        Raises:
            FineTuneError: another version wrote it.
        """
        return read_as(folder.record, cls)

    def write(self, folder: ExportFolder) -> None:
        write_json(folder.record, self.model_dump(mode="json"))
