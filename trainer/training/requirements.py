"""Checks the versions of installed libraries."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

from interfaces.errors import FineTuneError
from interfaces.problems import Code

PROJECT = "finetune-studio"
CHECKED = ("torch", "transformers", "peft", "accelerate", "safetensors", "bitsandbytes")
"""Libraries whose internals the training depends on."""


def require_versions() -> None:
    """
    Raises:
        FineTuneError: a library is older or newer than the project requires.
    """
    try:
        wanted = [Requirement(line) for line in metadata.requires(PROJECT) or []]
    except metadata.PackageNotFoundError:  # not installed, so there is no metadata
        return
    for requirement in wanted:
        if requirement.name not in CHECKED or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            seen = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            continue  # the code that needs it reports that
        if not requirement.specifier.contains(seen, prereleases=True):
            raise FineTuneError.of(
                Code.VERSIONS_UNFIT, field=requirement.name, value=seen, expected=str(requirement.specifier)
            )
