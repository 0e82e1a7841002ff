"""`finetune models` and `finetune download`: what there is, what of it fits this machine, and how it comes here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.console import HomeOption, JsonOption, home_of, open_console, print_table

if TYPE_CHECKING:
    from interfaces.folders import Home

models_commands = typer.Typer()


@models_commands.command()
def models(
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Search the Hub for models whose names contain TEXT.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the recommended models, the memory each needs on this machine, and whether it is downloaded."""
    place = home_of(home)
    records = _on_offer(place) if search is None else _found(search)
    if as_json:
        print(json.dumps(records, indent=2, ensure_ascii=False))
    elif search is None:
        _tell_offer(records)
    elif records:
        _tell_found(records)
    else:
        print(f"No text-generation model on the Hub has '{search}' in its name.")


@models_commands.command()
def download(model: Annotated[str, typer.Argument(help="A Hub id, or 'starter'.")], home: HomeOption = None) -> None:
    """Download a model, so that a run starts without waiting for it."""
    from studio.cli.attach import download_with_bar

    print(download_with_bar(home_of(home), model, open_console(stderr=True)))


def _on_offer(home: Home) -> list[dict[str, Any]]:
    """The list, with the memory that each takes with the settings for this machine."""
    from interfaces.presets import PresetConfigs
    from studio.models.catalog import CATALOG
    from studio.sizing.assess import assess
    from studio.sizing.devices import detect_devices, usable_device

    device = usable_device(detect_devices())
    settings = PresetConfigs.for_device(device)
    records = []
    for entry in CATALOG:
        found = assess(home, settings.model_copy(update={"model_name": entry.id}), device)
        fit = found.fit()
        records.append(
            {"id": entry.id, "tier": entry.tier, "parameters_millions": entry.parameters, "context": entry.context,
             "license": entry.license, "gated": entry.gated, "vram_hint": entry.vram_hint, "time_hint": entry.time_hint,
             "advice": entry.advice["en"], "path": str(found.facts.path) if found.facts.path else None,
             "download_bytes": found.facts.download_bytes, "total_bytes": found.estimate.total_bytes,
             "verdict": found.estimate.verdict, "fit": fit.to_record() if fit else None}
        )  # fmt: skip
    return records


def _found(text: str) -> list[dict[str, Any]]:
    from studio.models.facts import found_on_hub

    return found_on_hub(text)


def _tell_offer(records: list[dict[str, Any]]) -> None:
    from interfaces.texts import size
    from studio.models.catalog import parameters

    words = {"fits": "fits", "tight": "tight", "too_big": "too big"}
    rows = [
        [record["id"], parameters(record["parameters_millions"] * 1_000_000), size(record["total_bytes"]),
         words[record["verdict"]] + (" (fits with other settings)" if record["fit"] else ""),
         "here" if record["path"] else size(record["download_bytes"]), record["license"] + (", gated" if record["gated"] else ""), record["advice"]]
        for record in records
    ]  # fmt: skip
    print_table(["MODEL", "SIZE", "NEEDS", "HERE", "DOWNLOAD", "LICENSE", "ADVICE"], rows)


def _tell_found(records: list[dict[str, Any]]) -> None:
    from interfaces.texts import size
    from studio.models.catalog import parameters

    rows = [
        [record["id"], parameters(record["parameters"]), "here" if record["path"] else size(record["download_bytes"]) if record["download_bytes"] else "-",
         record["license"] or "-", "gated" if record["gated"] else "open", f"{record['downloads'] or 0:,}"]
        for record in records
    ]  # fmt: skip
    print_table(["MODEL", "SIZE", "DOWNLOAD", "LICENSE", "ACCESS", "DOWNLOADS"], rows)
