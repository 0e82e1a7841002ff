"""Queries the Hub about models without their weights: search, sizes, licenses, and the small config.json. No torch."""

from __future__ import annotations

import huggingface_hub
from huggingface_hub import HfApi, ModelInfo, constants

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from interfaces.trainer_jobs import HubModel, HubModelFacts
from trainer.models.hub import hub_problem

STORED_BITS = {
    "F64": 64,
    "F32": 32,
    "F16": 16,
    "BF16": 16,
    "I64": 64,
    "I32": 32,
    "I16": 16,
    "I8": 8,
    "U8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F4": 4,
}
FOUND_AT_MOST = 12
SECONDS = 15.0


def look_up(model: str, revision: str) -> HubModelFacts:
    """Look up a model's commit, size, license, and whether it is gated, and cache its config.json.

    Raises:
        FineTuneError: the model doesn't exist, access is denied, the Hub can't be reached, or no weights are safe.
    """
    try:
        info = HfApi().model_info(model, revision=revision, files_metadata=True, timeout=SECONDS)
        config = huggingface_hub.hf_hub_download(model, "config.json", revision=revision)
    except Exception as error:
        known = hub_problem(error, model, revision)
        if known is None:
            raise
        raise known from error
    files = {file.rfilename: file.size or 0 for file in info.siblings or []}
    weights = {name: size for name, size in files.items() if name.endswith(".safetensors") and "/" not in name}
    if not weights:
        raise FineTuneError.of(Code.MODEL_UNSAFE, model=model, reason="no_safetensors")
    shown = _shown(info).model_dump(exclude={"download_bytes"})
    return HubModelFacts(**shown, revision=info.sha, config=config, download_bytes=sum(weights.values()))


def search_models(text: str) -> list[HubModel]:
    """Models that write text, most downloaded first.

    Raises:
        FineTuneError: the Hub can't be reached, or limits the rate.
    """
    try:
        # Without this check, the client retries for half a minute before it reports that the Hub can't be reached.
        huggingface_hub.get_session().head(constants.ENDPOINT, timeout=SECONDS)
        found = list(
            HfApi().list_models(
                search=text, filter="text-generation", sort="downloads", limit=FOUND_AT_MOST,
                expand=["downloads", "gated", "safetensors", "tags"],
            )
        )  # fmt: skip
    except Exception as error:
        known = hub_problem(error, text, "main")
        if known is None:
            raise
        raise known from error
    return [_shown(info) for info in found]


def _shown(info: ModelInfo) -> HubModel:
    """Return the parts of the Hub's response that a card shows."""
    numbers = dict(getattr(info.safetensors, "parameters", None) or {})
    licenses = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    stored = sum(count * STORED_BITS.get(kind, 16) // 8 for kind, count in numbers.items())
    return HubModel(
        id=info.id, downloads=info.downloads, gated=bool(info.gated), license=licenses[0] if licenses else None,
        parameters=sum(numbers.values()) or None, download_bytes=stored or None,
    )  # fmt: skip
