"""A dataset of the Hub by id, with config and split: its files are fetched into the standard cache and read as files.

    hub:OWNER/NAME                the config "default" (or the only one), the split "train" (or the only one)
    hub:OWNER/NAME:CONFIG:SPLIT   those; an empty CONFIG is the default

Which files belong to which split is read as the Hub does: from `configs` in the dataset's card, else from the names
of files and folders. Loading scripts are never run. `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` are as for models.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Any

import huggingface_hub
import yaml

from interfaces.data_files import KINDS, SUFFIXES
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from trainer.data.inspection import OnProgress
from trainer.data.reading import kind_of_file
from trainer.data.rows import open_data
from trainer.models.hub import hub_problem

_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


def fetch_dataset(home: Home, reference: str, tell: OnProgress) -> tuple[Path, str]:
    """The file of a Hub dataset's split on this machine, and what to call it. Several files become one.

    Raises:
        FineTuneError: not found, out of reach, no such config or split, or nothing in it that can be read.
    """
    name, _, rest = reference.removeprefix("hub:").partition(":")
    config, _, split = rest.partition(":")
    try:
        info = huggingface_hub.HfApi().dataset_info(name)
        revision = str(info.sha)
        files = [file.rfilename for file in info.siblings or []]
        chosen, split = files_of_split(name, files, _card(name, revision, files), config, split)
        paths = []
        for number, file in enumerate(chosen):
            tell({"progress": [number, len(chosen)]})
            paths.append(Path(huggingface_hub.hf_hub_download(name, file, repo_type="dataset", revision=revision)))
    except FineTuneError:
        raise
    except Exception as error:
        known = hub_problem(error, name, "main")
        if known is None:
            raise
        problem = known.problems[0]
        code = {Code.MODEL_NOT_FOUND: Code.HUB_DATASET_NOT_FOUND, Code.MODEL_UNREACHABLE: Code.HUB_DATASET_UNREACHABLE}
        raise FineTuneError.of(code.get(problem.code, problem.code), value=name, **problem.params) from error
    title = ":".join(part for part in (name, config, split) if part)
    return (paths[0], title) if len(paths) == 1 else (_joined(home, paths, name, revision, split), title)


def files_of_split(name: str, files: list[str], card: dict[str, Any], config: str, split: str) -> tuple[list[str], str]:
    """The files of a split that can be read here, in order, and the split's name.

    Raises:
        FineTuneError: there is no such config or split, or no readable file.
    """
    readable = sorted(file for file in files if kind_of_file(Path(file)) in KINDS and not _is_about(file))
    if not readable:
        raise FineTuneError.of(Code.HUB_DATASET_EMPTY, value=name, known=list(SUFFIXES), seen=files[:12])
    configs = card.get("configs") if isinstance(card.get("configs"), list) else None
    splits: dict[str, list[str]]
    if configs:
        by_name = {str(entry.get("config_name", "default")): entry for entry in configs if isinstance(entry, dict)}
        wanted = config or ("default" if "default" in by_name else next(iter(by_name)))
        if wanted not in by_name or (not config and len(by_name) > 1 and "default" not in by_name):
            raise _no_such(name, "config", config, list(by_name))
        splits = _declared(by_name[wanted].get("data_files"), readable)
    else:
        folders = sorted({file.split("/")[0] for file in readable if "/" in file} - {"data"})
        if config and config not in folders:
            raise _no_such(name, "config", config, folders or ["default"])
        splits = _by_name([file for file in readable if not config or file.startswith(config + "/")])
    splits = {key: found for key, found in splits.items() if found}
    if not splits:
        raise FineTuneError.of(Code.HUB_DATASET_EMPTY, value=name, known=list(SUFFIXES), seen=files[:12])
    wanted = split or ("train" if "train" in splits else next(iter(splits)))
    if wanted not in splits or (not split and "train" not in splits and len(splits) > 1):
        raise _no_such(name, "split", split, list(splits))
    return splits[wanted], wanted


def _no_such(name: str, field: str, seen: str, known: list[str]) -> FineTuneError:
    return FineTuneError.of(Code.HUB_DATASET_CHOICE, value=name, field=field, seen=seen, known=known[:40])


def _is_about(file: str) -> bool:
    """Files beside the data: cards, licenses, lists of what is there."""
    last = file.rsplit("/", 1)[-1].lower()
    return last in (
        "dataset_infos.json",
        "dataset_dict.json",
        "state.json",
        "requirements.txt",
        "license.txt",
        "readme.txt",
    ) or last.startswith(".")


def _declared(data_files: Any, readable: list[str]) -> dict[str, list[str]]:
    """A card's `data_files`: one pattern, a list of them, or a list of {split, path}."""
    if isinstance(data_files, str):
        return {"train": _matching(data_files, readable)}
    splits: dict[str, list[str]] = {}
    for entry in data_files if isinstance(data_files, list) else []:
        split, patterns = (
            (str(entry.get("split", "train")), entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        )
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            splits.setdefault(split, []).extend(_matching(str(pattern), readable))
    return splits


def _matching(pattern: str, readable: list[str]) -> list[str]:
    return [file for file in readable if fnmatch.fnmatchcase(file, pattern.replace("**/", "*"))]


def _by_name(readable: list[str]) -> dict[str, list[str]]:
    """Files by the split that a part of their path names; without any such name, all are to train on."""
    splits: dict[str, list[str]] = {}
    for file in readable:
        words = set(re.split(r"[^a-z0-9]+", file.lower()))
        for split, names in _SPLITS.items():
            if words & set(names):
                splits.setdefault(split, []).append(file)
                break
    return splits or {"train": readable}


def _card(name: str, revision: str, files: list[str]) -> dict[str, Any]:
    """The head of the dataset's README, where configs are declared."""
    if "README.md" not in files:
        return {}
    path = Path(huggingface_hub.hf_hub_download(name, "README.md", repo_type="dataset", revision=revision))
    text = path.read_text(encoding="utf-8", errors="replace")
    parts = text.split("\n---", 1)
    if not text.startswith("---") or len(parts) < 2:
        return {}
    try:
        card = yaml.safe_load(parts[0][3:])
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}


def _joined(home: Home, paths: list[Path], name: str, revision: str, split: str) -> Path:
    """Several files of one kind as one, rows one after the other."""
    kind = kind_of_file(paths[0])
    folder = home.cache / "hub-datasets"
    folder.mkdir(parents=True, exist_ok=True)
    joined = (
        folder
        / f"{re.sub(r'[^A-Za-z0-9]+', '-', f'{name}-{revision[:12]}-{split}')}{'.jsonl' if kind == '.json' else kind}"
    )
    if kind == ".parquet":
        import pyarrow.parquet as parquet

        schema = parquet.ParquetFile(paths[0]).schema_arrow
        with parquet.ParquetWriter(joined, schema) as writer:
            for path in paths:
                for batch in parquet.ParquetFile(path).iter_batches(batch_size=1000):
                    writer.write_batch(batch.cast(schema))
        return joined
    with joined.open("wb") as target:
        for number, path in enumerate(paths):
            with open_data(path) as source:
                if number and kind in (".csv", ".tsv"):
                    source.readline()
                if kind == ".json":
                    from trainer.data.reading import read_rows

                    for row in read_rows(path):
                        source.seek(row.offset or 0)
                        target.write(source.read(row.length).replace(b"\n", b" ").strip() + b"\n")
                    continue
                while piece := source.read(1 << 20):
                    target.write(piece)
                target.write(b"\n")
    return joined
