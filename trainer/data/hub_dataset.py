"""Downloads a Hub dataset by id, config, and split to the standard cache, and reads its files.

    hub:OWNER/NAME                the default config (or the only one), the split "train" (or the only one)
    hub:OWNER/NAME:CONFIG:SPLIT   this config and split; an empty CONFIG is the default

`datasets.load_dataset_builder` provides the configs, splits, and files. Our own readers read the files, because they
track each row's line. Scripts of a repository are never run. `HF_ENDPOINT`, `HF_TOKEN`, and `HF_HUB_OFFLINE` work as
for models.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub

from interfaces.data_files import KINDS, SUFFIXES
from interfaces.dataset_records import HubSplit, HubSplits
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.trainer_jobs import JobProgress, OnProgress
from trainer.data.reading import kind_of_file
from trainer.data.rows import open_data
from trainer.models.hub import hub_problem

_ADDRESS = re.compile(r"hf://datasets/[^@]+@[^/]+/(.+)")
"""The library's file URLs, with repository and revision."""
FIRST_ROWS, MOST_CHARACTERS = 5, 2000


@dataclass(frozen=True)
class HubReference:
    """The requested Hub dataset. An empty config or split means the default."""

    name: str
    config: str = ""
    split: str = ""

    @classmethod
    def of(cls, text: str) -> HubReference:
        name, _, rest = text.removeprefix("hub:").partition(":")
        config, _, split = rest.partition(":")
        return cls(name, config, split)


@dataclass(frozen=True)
class _Found:
    """One config of a Hub dataset at one revision, with the readable files of each split."""

    name: str
    revision: str
    configs: tuple[str, ...]
    config: str
    splits: dict[str, list[str]]
    sizes: dict[str, int]


def hub_splits(reference: str) -> HubSplits:
    """Return the configs of a Hub dataset, the splits of one config, and its first rows, for the user's choice.

    Raises:
        FineTuneError: the dataset or config doesn't exist, the Hub can't be reached, or no file is readable.
    """
    asked = HubReference.of(reference)
    with _in_our_words(asked.name):
        found = _find(asked.name, asked.config, choose=False)
        splits = tuple(
            HubSplit(name=name, files=len(files), bytes=sum(found.sizes[file] for file in files))
            for name, files in found.splits.items()
        )
        return HubSplits(
            name=found.name, configs=found.configs, config=found.config, splits=splits, first=_first_rows(found)
        )


def fetch_dataset(home: Home, reference: str, tell: OnProgress) -> tuple[Path, str]:
    """Download a split of a Hub dataset. Return the local file, joined from several if necessary, and a display name.

    Raises:
        FineTuneError: the dataset, config, or split doesn't exist, the Hub can't be reached, or no file is readable.
    """
    asked = HubReference.of(reference)
    with _in_our_words(asked.name):
        found = _find(asked.name, asked.config)
        split = asked.split or ("train" if "train" in found.splits else next(iter(found.splits)))
        if split not in found.splits or (not asked.split and split != "train" and len(found.splits) > 1):
            raise _no_such(asked.name, "split", asked.split, list(found.splits))
        chosen = found.splits[split]
        paths = []
        for number, file in enumerate(chosen):
            tell(JobProgress(progress=(number, len(chosen))))
            got = huggingface_hub.hf_hub_download(found.name, file, repo_type="dataset", revision=found.revision)
            paths.append(Path(got))
    title = ":".join(part for part in (asked.name, asked.config, split) if part)
    if len(paths) == 1:
        return paths[0], title
    return _joined(home, paths, f"{found.name}-{found.revision[:12]}-{found.config}-{split}"), title


@contextlib.contextmanager
def _in_our_words(name: str) -> Iterator[None]:
    """Convert errors of the Hub client and of `datasets` to ours."""
    try:
        yield
    except FineTuneError:
        raise
    except Exception as error:
        known = hub_problem(error, name, "main")
        if known is None:
            raise
        problem = known.problems[0]
        code = {Code.MODEL_NOT_FOUND: Code.HUB_DATASET_NOT_FOUND, Code.MODEL_UNREACHABLE: Code.HUB_DATASET_UNREACHABLE}
        raise FineTuneError.of(code.get(problem.code, problem.code), value=name, **problem.params) from error


def _find(name: str, config: str, choose: bool = True) -> _Found:
    """Look up a dataset on the Hub. The default config is used if none is given; without one, `choose` raises."""
    info = huggingface_hub.HfApi().dataset_info(name, files_metadata=True)
    revision = str(info.sha)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}

    import datasets  # takes a second, and only Hub datasets need it
    from datasets.exceptions import DataFilesNotFoundError

    datasets.config.USE_PARQUET_EXPORT = False  # it would contact another host than the chosen endpoint
    try:
        configs = datasets.get_dataset_config_names(name, revision=revision)
        usual = datasets.get_dataset_default_config_name(name, revision=revision)
        if (config and config not in configs) or (choose and not (config or usual)):
            raise _no_such(name, "config", config, configs)
        builder = datasets.load_dataset_builder(name, config or usual or configs[0], revision=revision)
        by_split = builder.config.data_files or {}
    except DataFilesNotFoundError:
        by_split, builder, configs = {}, None, ["default"]
    except ValueError as error:  # files of different types, or a card with overlapping configs
        reason = (str(error).splitlines() or [""])[0][:300]
        raise FineTuneError.of(Code.HUB_DATASET_UNCLEAR, value=name, reason=reason) from error
    splits = {}
    for split, addresses in by_split.items():
        files = [found[1] for address in addresses if (found := _ADDRESS.fullmatch(str(address)))]
        readable = [file for file in files if kind_of_file(Path(file)) in KINDS and file in sizes]
        if readable:
            splits[str(split)] = readable
    if not splits or builder is None:
        raise FineTuneError.of(Code.HUB_DATASET_EMPTY, value=name, known=list(SUFFIXES), seen=list(sizes)[:12])
    return _Found(name, revision, tuple(configs), str(builder.config.name), splits, sizes)


def _no_such(name: str, field: str, seen: str, known: list[str]) -> FineTuneError:
    return FineTuneError.of(Code.HUB_DATASET_CHOICE, value=name, field=field, seen=seen, known=known[:40])


def _first_rows(found: _Found) -> tuple[str, ...]:
    """Stream the first rows of the first split from the Hub. They are only a preview, so errors are ignored."""
    import datasets

    taken: list[Any] = []
    with contextlib.suppress(Exception):  # a foreign file may break its reader in any way
        rows = datasets.load_dataset(
            found.name, found.config, split=next(iter(found.splits)), revision=found.revision, streaming=True
        )
        taken += itertools.islice(rows, FIRST_ROWS)
    return tuple(json.dumps(row, ensure_ascii=False, default=str)[:MOST_CHARACTERS] for row in taken)


def _joined(home: Home, paths: list[Path], name: str) -> Path:
    """Join several files of one type into one."""
    kind = kind_of_file(paths[0])
    folder = home.cache / "hub-datasets"
    folder.mkdir(parents=True, exist_ok=True)
    joined = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}{'.jsonl' if kind == '.json' else kind}"
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
