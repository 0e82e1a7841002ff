"""Export in the browser: a checkpoint becomes a GGUF file, is proven, downloaded, used, and deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Finished
from interfaces.exports import Comparison, ExportRecord, ExportRequest, Proof, ProofRow
from interfaces.job_folders import ExportFolder
from interfaces.texts import texts
from tests.story.conftest import LOOKS
from tests.support.adapters import adapter_folder
from tests.support.records import recorded_run, step
from tests.support.served import Studio
from tests.support.tiny_families import tiny_family

sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
pytestmark = pytest.mark.story
EN = texts("page")
expect = sync_api.expect
END = Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1)


def test_a_checkpoint_becomes_a_gguf_file(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    base = tiny_family(tmp_path / "base", "llama", tie_word_embeddings=True)
    run = recorded_run(studio.home, step(1), END, model_name=str(base), bf16=False, cpu_threads=1)
    adapter_folder(run.adapter, base, 1)
    adapter_folder(run.checkpoint(2), base, 2)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.get_by_role("link", name=EN["export_page"], exact=True).first.click()
    expect(page.get_by_text(EN["no_exports"])).to_be_visible()
    page.get_by_label(EN["export_kind"], exact=True).select_option("gguf")
    expect(page.get_by_text(EN["export_gguf_help"])).to_contain_text(EN["format_f16"])
    page.get_by_label(EN["export_format"], exact=True).select_option("f32")
    expect(page.get_by_text(EN["export_gguf_help"])).to_contain_text(EN["format_f32"])
    page.get_by_label(EN["evaluate_adapter"], exact=True).select_option("2")
    page.get_by_role("button", name=EN["start_export"], exact=True).click()
    card = page.locator(".fs-evaluation").first
    expect(card.locator(".fs-state")).to_have_text(EN["state_finished"])
    expect(card.get_by_text(EN["proof_passed"])).to_contain_text("10 of 10 answers")
    with page.expect_download() as downloading:
        card.get_by_role("link", name=EN["download_file"]).click()
    file = downloading.value
    assert file.suggested_filename == f"{run.id}-step-2-f32.gguf"
    assert Path(file.path()).read_bytes()[:4] == b"GGUF"
    card.get_by_text(EN["export_usage"]).click()
    expect(card.locator("pre").first).to_have_text(f"llama-server -m {file.suggested_filename}")
    card.get_by_text(EN["proof_rows"]).first.click()
    expect(card.locator("tbody tr")).to_have_count(10)
    page.reload()
    page.once("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name=EN["delete"]).click()
    expect(page.get_by_text(EN["no_exports"])).to_be_visible()
    assert not ExportFolder.all_of(run)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_page_looks_right_and_can_be_read_by_everyone(
    new_page: Callable[..., Any], studio: Studio, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    run = recorded_run(studio.home, step(1), END)
    run.adapter.mkdir()
    (run.adapter / "adapter_config.json").write_text("{}")
    rows = [
        ProofRow(prompt=f"What is {number}?", taught=number < 10, reference="A number.", answer="A numeral." if number > 16 else "A number.", differs_at=1 if number > 16 else None, margin=0.1 * number - 1.5 if number > 16 else None)
        for number in range(20)
    ]  # fmt: skip
    for quantization, passed in (("f16", True), ("q8_0", False), ("q4_0", None)):
        folder = ExportFolder.create(run)
        name = f"my-run-{quantization}.gguf"
        ExportRequest(kind="gguf", quantization=quantization, name=name, created=1.0).write(folder)  # type: ignore[arg-type]
        folder.files.mkdir()
        (folder.files / name).write_bytes(b"GGUF")
        compared = Comparison(way="llama_cpp", number_format=quantization, rows=rows)
        proof = Proof(exported=compared, control=compared, tokens=16, passed=passed)
        ExportRecord(path=str(folder.files / name), bytes=270_000_000, substituted=3, proof=proof).write(folder)
        folder.create_attempt()
        folder.events.write_text(Finished(step=0, peak_memory_bytes=1, seconds=1).model_dump_json() + "\n")
    language = "zh" if scheme == "dark" else "en"
    words = texts("page", language)
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"{studio.url}/{language}/export?run={run.id}")
    expect(page.get_by_text(words["proof_failed"])).to_be_visible()
    page.get_by_text(words["proof_rows"]).first.click()
    page.get_by_text(words["export_usage"]).first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
    assert [(item["id"], item["nodes"][0]["html"][:160]) for item in found] == []
