"""The rooms of the house, top to bottom, and what each may import. One table: `tests/test_architecture.py` holds the
code to it, and `docs/generate.py` writes the picture in architecture.md and each room's README from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A folder of modules, or one module that stands beside the rooms.

    `floor` counts from the bottom of its package: a room imports rooms of its package on lower floors, itself,
    `interfaces`, the standard library, and `libraries`. `banned` are lower rooms that it may not know all the same.
    """

    name: str
    floor: int
    what: str
    libraries: frozenset[str] = frozenset()
    banned: frozenset[str] = frozenset()
    modules: int = 14

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_folder(self) -> bool:
        return self.name not in SINGLE_MODULES

    @property
    def has_readme(self) -> bool:
        """The three packages have theirs written by hand."""
        return self.is_folder and "." in self.name


def _room(name: str, floor: int, what: str, libraries: str = "", banned: str = "", **more: int) -> Room:
    return Room(name, floor, what, frozenset(libraries.split()), frozenset(banned.split()), **more)  # type: ignore[arg-type]


SINGLE_MODULES = {
    "studio.finetune_manager", "studio.jobs", "studio.recipes", "studio.config_file", "studio.foreign_config", "studio.ending",
    "trainer.cli", "trainer.lora_trainer", "trainer.evaluator", "trainer.exporter", "trainer.__main__",
}  # fmt: skip

ROOMS = (
    _room("interfaces", 0, "The contract between the studio and the trainer, and all user-facing text.", "babel pydantic pydantic_core yaml", modules=40),
    _room("studio.web", 10, "Web server: access control, the JSON API (`/api/*`), static files.", "fastapi pydantic starlette uvicorn", "studio.cli", modules=29),
    _room("studio.pages", 9, "Gradio pages: layout and wiring only; the logic is in plain functions.", "annotated_types gradio pydantic", "studio.cli"),
    _room("studio.cli", 8, "`finetune`: one module per command group. Only `cli.main` starts `web.server`.", "psutil pydantic rich typer", modules=22),
    _room("studio.sweeps", 7, "Sweeps: several values for a few settings, their runs as a family, and which is best.", "filelock pydantic"),
    _room("studio.ending", 6, "What happens when a run or an evaluation has ended."),
    _room("studio.finetune_manager", 6, "Creates, starts, stops and resumes tasks through the injected service."),
    _room("studio.runs", 4, "Runs on disk: state, loss curve, queue position, how a run ended, and jobs of runs.", "filelock pydantic", modules=18),
    _room("studio.sizing", 3, "The resource estimate and device detection: arithmetic, no torch.", "psutil pydantic pynvml"),
    _room("studio.models", 2, "Models: catalog, architectures, local files, access to the Hub.", "huggingface_hub pydantic"),
    _room("studio.evaluation", 5, "Evaluations: metrics, intervals, gates, blind votes, and the table.", "jsonschema numpy pandas pydantic referencing regex rouge_score sacrebleu scipy"),
    _room("studio.storage", 5, "What lies on the disk and how much of it, and clean-ups that can be undone.", "pydantic"),
    _room("studio.exports", 5, "Exports: queued, listed, and the names of their files."),
    _room("studio.chat", 5, "Chats with runs: who answers, the turns on disk, and the children that answer.", "markdown_it psutil pydantic"),
    _room("studio.datasets", 2, "The dataset library, and the sample data.", "pydantic"),
    _room("studio.jobs", 2, "Background jobs whose progress the pages poll.", "pydantic"),
    _room("studio.recipes", 1, "Recipes: named sets of settings, three built in and the user's own.", "pydantic"),
    _room("studio.processes", 1, "Child processes: supervisor (standard library only), trainer, short jobs.", "filelock psutil pydantic"),
    _room("studio.config_file", 1, "Builds a config from a YAML file and `--set`.", "yaml"),
    _room("studio.foreign_config", 1, "Converts LLaMA-Factory and axolotl configs; lists unsupported keys."),
    _room("trainer.__main__", 10, "`python -m trainer`."),
    _room("trainer.cli", 9, "The commands that run in a child process.", "pydantic typer"),
    _room("trainer.lora_trainer", 8, "`LoRATrainer`: implements the contract for one run folder."),
    _room("trainer.evaluator", 8, "Executes one evaluation: batches of answers and losses, each on the disk before the next.", "peft transformers"),
    _room("trainer.exporter", 8, "Executes one export: written under a temporary name, published, and proven.", "torch"),
    _room("trainer.training", 7, "A run from start to end: setup, training loop, events, stops, failures.", "numpy packaging peft safetensors torch transformers", modules=16),
    _room("trainer.evaluation", 6, "What a trained model answers: generation, chats, and the batches of an evaluation.", "greenlet numpy peft psutil pydantic torch transformers xllamacpp"),
    _room("trainer.artifacts", 5, "A run's outputs: committed checkpoints, adapter, model card, exports.", "gguf numpy peft pydantic safetensors torch transformers yaml", modules=18),
    _room("trainer.methods", 5, "The training methods: how examples become a batch, and a batch a loss.", "torch"),
    _room("trainer.kernels", 4, "The fast paths: flat attention, chunked loss, LoRA matrix products.", "peft torch transformers"),
    _room("trainer.tokens", 3, "Applies the model's chat template, tokenizes, builds the training mask.", "jinja2 numpy pydantic tokenizers torch transformers"),
    _room("trainer.data", 2, "Reads rows and examples; reports problems by line and field. No torch.", "datasets datasketch huggingface_hub numpy orjson pandas phonenumbers pyarrow pydantic python_calamine", modules=26),
    _room("trainer.models", 1, "Finds, downloads and loads models. Download code doesn't import torch.", "bitsandbytes filelock huggingface_hub psutil torch tqdm transformers yaml"),
)  # fmt: skip

EXCEPTIONS = (
    ("studio.cli.main", "studio.web.server"), ("studio.cli.serve", "studio.web.server"), ("studio.cli.serve", "studio.web.openai_api"),
)  # fmt: skip
"""The imports upwards: `finetune studio` and `finetune serve` start servers."""

TORCH_FREE = (
    "trainer.data", "trainer.cli", "trainer.models.hub", "trainer.models.hub_models", "trainer.models.starter",
    "trainer.models.model_files", "trainer.artifacts.export",
)  # fmt: skip
"""Rooms and modules of the trainer that start at once, because nothing of theirs brings torch."""


def may_import(room: Room) -> list[str]:
    """The rooms that a room may know, in the order of the table."""
    return [
        one.name
        for one in ROOMS
        if one.package == room.package and one.floor < room.floor and one.name not in room.banned
    ]


def picture() -> str:
    """The rooms of both packages, top to bottom, each with what it is for. Rooms of one floor don't know each other."""
    lines = []
    for package in ("studio", "trainer"):
        lines.append(f"    {package}/")
        floor = None
        for room in ROOMS:
            if room.package == package and "." in room.name and not room.name.endswith("__main__"):
                name = room.name.partition(".")[2] + ("/" if room.is_folder else ".py")
                lines.append(f"      {'|' if room.floor == floor else ' '} {name:20} {room.what}")
                floor = room.floor
    return "\n".join(lines)


def readme(room: Room) -> str:
    """A room's law, as its README states it."""
    below = ", ".join(f"`{name.partition('.')[2]}`" for name in may_import(room)) or "nothing"
    libraries = ", ".join(sorted(room.libraries)) or "none"
    text = f"{room.what}\nMay import from this package: {below}. Libraries: {libraries}.\n"
    upwards = [f"`{source}` imports `{target}`" for source, target in EXCEPTIONS if source.startswith(f"{room.name}.")]
    return text + "".join(f"Exception: {one}.\n" for one in upwards)
