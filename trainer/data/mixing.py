"""Mixes several datasets into one. The weight of each is how often its rows are used per epoch."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Mapping

import orjson

from interfaces.dataset_records import DatasetReport, Part
from interfaces.disk import require_space
from interfaces.example_file import SUSPICIOUS, ExampleFile, ExampleWriter
from interfaces.files import publish, sha256_of
from interfaces.folders import DatasetFolder, Home, unfinished_name
from interfaces.records import read_record
from trainer.data.dataset import is_whole
from trainer.data.inspection import SHOWN_PROBLEMS


def mix_datasets(home: Home, parts: Mapping[str, float], seed: int = 0) -> DatasetFolder:
    """Create a dataset from the rows of others, given by id. Weight 2 uses each row twice, 0.5 a random half.

    Raises:
        FineTuneError: a part doesn't exist.
    """
    reports = [DatasetReport.required(home.dataset(part)) for part in parts]
    named = [
        str((read_record(home.dataset(part).meta) or {}).get("name") or report.name)
        for part, report in zip(parts, reports, strict=True)
    ]
    recipe = json.dumps([sorted(parts.items()), seed, [report.examples_sha256 for report in reports]])
    folder = home.dataset(hashlib.sha256(recipe.encode()).hexdigest()[:16])
    if is_whole(folder):
        return folder
    sizes = [home.dataset(part).examples.stat().st_size for part in parts]
    require_space(home.path, int(sum(size * weight for size, weight in zip(sizes, parts.values(), strict=True))))
    staging = DatasetFolder(home.datasets / unfinished_name())
    staging.path.mkdir(parents=True)
    try:
        writer = ExampleWriter(staging)
        warnings: Counter[str] = Counter()
        suspicious = 0
        for source, (part, weight) in enumerate(parts.items()):
            suspicious += _append(writer, ExampleFile(home.dataset(part)), source, weight, seed, warnings)
        writer.close()
        staging.problems.touch()
        invalid = sum(report.invalid for report in reports)
        kinds = warnings + sum((Counter(report.kinds_invalid) for report in reports), Counter())
        DatasetReport(
            name=" + ".join(f"{name} x {weight:g}" for name, weight in zip(named, parts.values(), strict=True)),
            format=" + ".join(sorted({str(report.format) for report in reports})),
            rows=writer.count + invalid, valid=writer.count - suspicious, usable=writer.count, suspicious=suspicious,
            invalid=invalid, bytes=sum(report.bytes for report in reports), kinds=dict(kinds.most_common()),
            first=[one for report in reports for one in report.first][:SHOWN_PROBLEMS], sources=named, holds=writer.kinds,
            parts=[Part(id=part, weight=weight) for part, weight in parts.items()],
            sha256=hashlib.sha256(recipe.encode()).hexdigest(), examples_sha256=sha256_of(staging.examples), added=time.time(),
        ).write(staging)  # fmt: skip
        shutil.rmtree(folder.path, ignore_errors=True)
        publish(staging.path, folder.path)
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)
    return folder


def _append(
    writer: ExampleWriter, examples: ExampleFile, source: int, weight: float, seed: int, warnings: Counter[str]
) -> int:
    """Write the rows of a part. Return how many of them have warnings; `warnings` counts the reasons."""
    whole, rest = int(weight), weight - int(weight)
    some = set(random.Random(seed + source).sample(range(len(examples)), round(rest * len(examples))))
    suspicious = 0
    for position in range(len(examples)):
        times = whole + (position in some)
        if times:
            _, group, row, _, flags = examples.entry(position)
            record = {**orjson.loads(examples.line(position)), "source": source}
            for _ in range(times):
                writer.append(orjson.dumps(record), group, row, source, flags)
            suspicious += times * (flags & SUSPICIOUS)
            warnings.update(dict.fromkeys(record.get("warnings", record.get("doubts", ())), times))
    return suspicious
