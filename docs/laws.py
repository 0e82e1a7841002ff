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
    "studio.finetune_manager", "studio.jobs", "studio.config_file", "studio.foreign_config", "trainer.cli", "trainer.lora_trainer", "trainer.__main__",
}  # fmt: skip

ROOMS = (
    _room("interfaces", 0, "The contract: what the studio and the trainer agree on, and every text that a person reads.", "babel pydantic pydantic_core yaml", modules=30),
    _room("studio.web", 8, "The server: security around everything, `/api/*` in JSON, our own files.", "fastapi pydantic starlette uvicorn", "studio.cli"),
    _room("studio.pages", 7, "The pages, in Gradio: a page wires, a plain function elsewhere does.", "annotated_types gradio pydantic", "studio.cli"),
    _room("studio.cli", 6, "`finetune`: one module a group of commands. `cli.main` alone starts `web.server`.", "psutil pydantic rich typer"),
    _room("studio.finetune_manager", 5, "Tasks: made, started, stopped, resumed, by the service that is injected."),
    _room("studio.runs", 4, "What is on the disk of a run: its state, its curve, its place in the queue, its end.", "filelock pydantic"),
    _room("studio.sizing", 3, "Will it fit, and how long will it take: devices and arithmetic, no torch.", "psutil pydantic pynvml"),
    _room("studio.models", 2, "Models: those on offer, their shapes, what is here of them, the way to the Hub.", "huggingface_hub pydantic"),
    _room("studio.datasets", 2, "The library of datasets, and the sample.", "pydantic"),
    _room("studio.jobs", 2, "Work in the background that pages ask about.", "pydantic"),
    _room("studio.processes", 1, "Children: the supervisor (standard library alone), its trainer, short jobs.", "filelock psutil pydantic"),
    _room("studio.config_file", 1, "A YAML file and `--set` become a config.", "yaml"),
    _room("studio.foreign_config", 1, "Configs of LLaMA-Factory and axolotl become ours; what has no place is listed."),
    _room("trainer.__main__", 9, "`python -m trainer`."),
    _room("trainer.cli", 8, "The commands of a child.", "pydantic typer"),
    _room("trainer.lora_trainer", 7, "`LoRATrainer`: the contract, for one run folder."),
    _room("trainer.training", 6, "The story of a run: preparation, the loop, events, stops, failures.", "numpy packaging peft torch transformers"),
    _room("trainer.artifacts", 5, "What a run leaves: checkpoints that are committed, the adapter, its card, exports.", "peft pydantic safetensors torch transformers"),
    _room("trainer.kernels", 4, "What makes it fast: flat attention, the chunked loss, LoRA's products.", "peft torch transformers"),
    _room("trainer.tokens", 3, "Text and tokens by the model's own template, and which of them are trained on.", "jinja2 numpy pydantic tokenizers torch transformers"),
    _room("trainer.data", 2, "Files become rows, rows become examples, each problem with its line and field. No torch.", "datasets huggingface_hub numpy orjson pandas pyarrow python_calamine", modules=20),
    _room("trainer.models", 1, "A model's name becomes files, and files become a model. What downloads is free of torch.", "bitsandbytes filelock huggingface_hub psutil torch tqdm transformers"),
)  # fmt: skip

EXCEPTIONS = {("studio.cli.main", "studio.web.server")}
"""The one import upwards: `finetune studio` starts the server."""

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
    text = f"{room.what}\nMay import of this package: {below}. Libraries: {libraries}.\n"
    upwards = [f"`{source}` imports `{target}`" for source, target in EXCEPTIONS if source.startswith(f"{room.name}.")]
    return text + "".join(f"Exception: {one}.\n" for one in upwards)
