"""Data in a real browser with the real starter: every format, columns, mending, the mask, the lengths, the library."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.texts import texts
from tests.conftest import write_rows
from tests.story.conftest import LOOKS, setting
from tests.support.planted import clean_row, planted_jsonl
from tests.support.served import Studio
from tests.support.workbooks import write_xlsx

pytestmark = pytest.mark.story
EN = texts("page")
sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
PAIRS = [
    {"question": f"What is {n} plus {n}?", "answer": f"It is {2 * n}, of course.", "topic": "sums"}
    for n in range(1, 13)
]


def drop(page: Any, path: Path, says: str) -> None:
    page.set_input_files("#fs-file", path)
    page.locator(".fs-said", has_text=says).wait_for()


def open_tab(page: Any, name: str) -> None:
    page.locator(f"#fs-data-tab-{name}").click()


def see(page: Any) -> None:
    """Wait until figures and tokens of the chosen dataset are shown; the tokens stay open."""
    open_tab(page, "lengths")
    page.locator(".fs-numbers svg").wait_for()
    open_tab(page, "tokens")
    page.locator(".fs-tokens .fs-t").first.wait_for()


def learned(page: Any) -> str:
    return str(
        page.evaluate("[...document.querySelectorAll('.fs-tokens mark')].map((t) => t.textContent).join('')")
    ).replace("⏎", "")


def file_of(kind: str, folder: Path) -> Path:
    path = folder / f"my rows.{kind}"
    if kind == "json":
        path.write_text(json.dumps(PAIRS, indent=1))
    elif kind.startswith("jsonl"):
        content = "".join(json.dumps(row) + "\n" for row in PAIRS).encode()
        path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    elif kind in ("csv", "tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(PAIRS[0]), delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(PAIRS)
    elif kind == "txt":
        path.write_text("\n\n".join(f"{row['question']}\n{row['answer']}" for row in PAIRS))
    else:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        parquet.write_table(arrow.Table.from_pylist(PAIRS), path)
    return path


@pytest.mark.parametrize(
    "kinds",
    [("json", "csv", "txt"), pytest.param(("jsonl", "jsonl.gz", "tsv", "parquet"), marks=pytest.mark.long)],
    ids=",".join,
)
def test_every_format_is_read_and_shown_as_the_model_sees_it(
    new_page: Callable[..., Any], tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    page = new_page()
    for kind in kinds:
        shape = "text" if kind == "txt" else "question_answer"
        drop(page, file_of(kind, tmp_path), f"my rows.{kind}: 12 rows, detected as {shape}")
        page.get_by_text("12 of 12 rows are valid.").wait_for()
        see(page)
        wanted = "What is 1 plus 1?\nIt is 2, of course." if kind == "txt" else "It is 2, of course."
        assert learned(page) == wanted + ("<|im_end|>")
        if kind != "txt":
            page.get_by_text("Unused columns: topic").wait_for()


def test_chosen_sheet_reports_errors_by_cell(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    sheets = {"Notes": [["text"], ["hello"]], "Talks": [["ask", "reply"], ["q1", "a1"], ["q2", None]]}
    drop(page, write_xlsx(tmp_path / "book.xlsx", sheets), "book.xlsx has several sheets or tables: Notes, Talks.")
    page.get_by_label("Sheet or table").select_option("Talks")
    page.get_by_role("button", name="Import").last.click()
    page.locator(".fs-said", has_text="has the columns ask, reply, which match no known format").wait_for()
    page.locator("#fs-use-prompt").select_option("ask")
    page.locator("#fs-use-completion").select_option("reply")
    page.get_by_role("button", name="Apply").click()
    page.locator(".fs-said", has_text="book.xlsx: 2 rows, detected as mapped").wait_for()
    page.get_by_text("1 of 2 rows are valid.").wait_for()


def test_columns_can_be_chosen_and_changed(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    (tmp_path / "odd.csv").write_text("ask,reply,other\nHi there,Good day,Other words\nYo,Hey,More words\n")
    drop(page, tmp_path / "odd.csv", "has the columns ask, reply, other, which match no known format")
    page.locator("#fs-use-prompt").select_option("ask")
    page.get_by_role("button", name="Apply").click()
    page.locator(".fs-said", has_text="The selected columns don't form an example").wait_for()
    page.locator("#fs-use-prompt").select_option("ask")
    page.locator("#fs-use-completion").select_option("reply")
    page.get_by_role("button", name="Apply").click()
    page.locator(".fs-said", has_text="odd.csv: 2 rows, detected as mapped").wait_for()
    see(page)
    assert learned(page) == "Good day<|im_end|>"
    page.get_by_text("Change columns").click()
    page.locator("#fs-use-completion").select_option("other")
    page.get_by_role("button", name="Apply").click()
    page.locator(".fs-talk mark", has_text="Other words").wait_for()
    see(page)
    page.wait_for_function(
        "[...document.querySelectorAll('.fs-tokens mark')].map((t) => t.textContent).join('') === 'Other words<|im_end|>'"
    )


def test_invalid_rows_are_listed_fixed_and_downloaded(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    rows = [json.dumps(clean_row(number)) for number in range(1, 41)]
    rows[6], rows[20] = '{"messages": [{"role": "user", "content": "Hi"}]}', rows[0]
    (tmp_path / "rows.jsonl").write_text("\n".join([*rows, "{broken"]) + "\n")
    drop(page, tmp_path / "rows.jsonl", "rows.jsonl: 41 rows, detected as messages")
    page.get_by_text("38 of 41 rows are valid.").wait_for()
    table = page.locator(".fs-report tbody")
    assert [row.inner_text().split("\t")[:2] for row in table.locator("tr").all()] == [
        ["7", "7"],
        ["21", "21"],
        ["41", "41"],
    ]
    page.get_by_text("2 of 41 rows in rows.jsonl have errors, so training can't start.").wait_for()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download report").click()
    report = list(csv.DictReader(io.StringIO(Path(downloading.value.path()).read_text(encoding="utf-8-sig"))))
    assert [(record["line"], record["kind"], record["severity"]) for record in report] == [
        ("7", "no_answer", "error"), ("21", "duplicate", "warning"), ("41", "broken_json", "error"),
    ]  # fmt: skip
    # Left out: the review has nothing against a start any more.
    page.get_by_label("skip", exact=True).check()
    page.get_by_text("Ready:").wait_for()
    # Mended: one row gets an answer, one is taken out.
    page.get_by_role("button", name="Fix rows").click()
    answered = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello to you"}]}
    page.locator("#fs-fix-7").fill(json.dumps(answered))
    page.locator(".fs-fix", has_text="Row 41").get_by_role("button").click()
    page.get_by_role("button", name="Save and check again").click()
    page.get_by_text("39 of 40 rows are valid.").wait_for()
    page.get_by_label("stop", exact=True).check()
    page.get_by_text("Ready:").wait_for()


def test_mask_shows_trained_tokens_of_any_row(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    rows = [clean_row(number) for number in range(1, 61)]
    rows[29]["messages"][-1]["content"] = "A very long answer. " * 150
    drop(page, write_rows(tmp_path / "rows.jsonl", rows), "rows.jsonl: 60 rows")
    see(page)
    assert learned(page) == rows[0]["messages"][1]["content"] + "<|im_end|>"
    page.get_by_text("The end-of-turn token <|im_end|> is trained on").wait_for()
    first = page.locator(".fs-tokens .fs-t").first
    assert first.inner_text() == "<|im_start|>"
    assert "ID 1," in str(first.get_attribute("title"))
    page.get_by_label("Token ids").check()
    page.get_by_role("button", name="Next row").click()
    sync_api.expect(page.locator("#fs-tokens-row")).to_have_value("2")
    page.get_by_role("button", name="Longest").click()
    sync_api.expect(page.locator("#fs-tokens-row")).to_have_value("30")
    page.get_by_text("tokens truncated at max_length").wait_for()
    assert page.locator(".fs-tokens s").count() > 0
    page.get_by_label("Search rows").fill("Question 44:")
    page.get_by_label("Search rows").press("Enter")
    sync_api.expect(page.locator("#fs-tokens-row")).to_have_value("44")


def test_dragging_max_length_updates_the_form(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    rows = [{"prompt": f"Say {n}", "completion": "word " * (n * 10)} for n in range(1, 41)]
    drop(page, write_rows(tmp_path / "rows.jsonl", rows), "rows.jsonl: 40 rows")
    see(page)
    open_tab(page, "lengths")
    page.get_by_text("At 512 tokens, rows truncated: 0").wait_for()
    chart = page.locator(".fs-numbers svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20, steps=5)
    page.mouse.up()
    page.wait_for_function("Number(document.querySelector('#cfg-max-length input').value) < 300")
    chosen = int(page.locator("#cfg-max-length input").input_value())
    page.locator(".fs-effect", has_text=f"At {chosen} tokens").wait_for()
    cut = int(page.locator(".fs-effect").inner_text().split("rows truncated: ")[1].split(";")[0])
    assert 10 < cut < 30
    page.wait_for_function("document.querySelectorAll('.fs-numbers rect.fs-over-length').length > 5")
    # The keyboard does the same, bar by bar, and stays where it is.
    page.locator("#fs-max-length").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => Number(document.querySelector('#cfg-max-length input').value) > before", arg=chosen
    )
    page.locator(".fs-said").wait_for(state="attached")
    page.wait_for_function("document.activeElement.id === 'fs-max-length'")
    # Passing through the presets changes nothing.
    setting(page, "max_length").fill("333")
    page.get_by_label("Preset", exact=True).focus()
    page.keyboard.press("Tab")
    page.locator(".fs-effect", has_text="At 333 tokens").wait_for()
    sync_api.expect(setting(page, "max_length")).to_have_value("333")


def test_reload_continues_reading_the_file(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps(clean_row(number)) + "\n" for number in range(60_000))
    page.set_input_files("#fs-file", path)
    page.wait_for_function("Boolean(sessionStorage.getItem('finetune-reading'))")
    page.reload()
    page.locator(".fs-said", has_text="rows.jsonl: 60,000 rows").wait_for()
    page.wait_for_function("sessionStorage.getItem('finetune-reading') === null")


@pytest.mark.parametrize("rows", [50_000, pytest.param(100_000, marks=pytest.mark.long)], ids=["100 MB", "200 MB"])
def test_large_file_shows_upload_and_reading_progress(new_page: Callable[..., Any], tmp_path: Path, rows: int) -> None:
    page = new_page()
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(rows):
            file.write(json.dumps({"prompt": f"q{number}", "completion": f"{number} " + "answer " * 290}) + "\n")
    assert path.stat().st_size > 2_000 * rows
    page.locator(".fs-said").wait_for(state="attached")
    page.evaluate(
        "() => { window.seen = []; new MutationObserver(() => { const said = document.querySelector('.fs-said').textContent;"
        " if (window.seen.at(-1) !== said) window.seen.push(said) }).observe(document.querySelector('.fs-said'), "
        "{ childList: true, characterData: true, subtree: true }) }"
    )
    page.set_input_files("#fs-file", path)
    page.get_by_text(f"{rows:,} of {rows:,} rows are valid.").wait_for(timeout=300_000)
    said = page.evaluate("window.seen")
    assert any("Uploading" in text for text in said)
    assert any("so far" in text for text in said)


def test_cells_are_never_rendered_as_html(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    evil = "<img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script> {{ 7*7 }} \u202etxt.exe"
    rows = [{"prompt": evil, "completion": evil + str(n), evil: 1} for n in range(3)]
    drop(page, write_rows(tmp_path / "<b>evil.jsonl", rows), "evil.jsonl: 3 rows")
    see(page)
    assert page.evaluate("window.hacked") is None
    assert "⟨U+202E⟩" in page.locator(".fs-tokens").inner_text()
    open_tab(page, "rows")
    assert "\u202e" not in page.locator(".fs-talks").inner_text()
    assert "{{ 7*7 }}" in learned(page)


def test_library_renames_mixes_and_deletes_with_undo(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    page = new_page()
    page.goto(f"{studio.url}/en/datasets")
    page.locator(".fs-drop").wait_for()
    for name, count in (("one.jsonl", 4), ("two.jsonl", 6)):
        drop(
            page,
            write_rows(tmp_path / name, [{"prompt": f"{name} {n}", "completion": "c"} for n in range(count)]),
            f"{name}: {count} rows",
        )
    library = page.locator(".fs-library tbody")
    row = library.locator("tr", has_text="one.jsonl")
    row.wait_for()
    row.locator(".fs-menu summary").click()
    row.get_by_role("button", name="Rename").click()
    page.get_by_label(EN["new_name"]).fill("Renamed <b>")
    page.keyboard.press("Enter")
    renamed = library.locator("tr", has_text="Renamed <b>")
    renamed.wait_for()
    renamed.get_by_role("checkbox").check()
    library.locator("tr", has_text="two.jsonl").get_by_role("checkbox").check()
    page.get_by_role("button", name="Mix selected datasets").click()
    mix = page.get_by_role("dialog", name=EN["mix_title"])
    weight = mix.get_by_role("row").filter(has_text="Renamed <b>").get_by_role("spinbutton")
    weight.fill("0")
    mix.get_by_text(EN["mix_weights"]).wait_for()
    weight.fill("2")
    mix.get_by_text("14 rows in all.").wait_for()
    mix.get_by_role("button", name=EN["mix"], exact=True).click()
    mixed = library.locator("tr", has_text="Renamed <b> x 2 + two.jsonl x 1")
    mixed.wait_for()
    assert "14 of 14 rows valid" in mixed.inner_text()
    mixed.locator(".fs-menu summary").click()
    mixed.get_by_role("button", name="Delete").click()
    page.get_by_text("was deleted.").wait_for()
    sync_api.expect(mixed).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    mixed.wait_for()
    mixed.locator(".fs-menu summary").click()
    mixed.get_by_role("link", name="Use for training").click()
    page.get_by_text("14 of 14 rows are valid.").wait_for()
    page.get_by_text("Ready:").wait_for()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_data_pages_are_accessible(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path, scheme: str, width: int
) -> None:
    """No sideways scrolling, and nothing that axe calls critical or serious, with a report, a mask and a histogram."""
    from axe_playwright_python.sync_playwright import Axe

    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"{studio.url}/en/datasets")
    page.locator(".fs-drop").wait_for()
    planted_jsonl(tmp_path / "rows.jsonl", 60, 25, 1)
    drop(page, tmp_path / "rows.jsonl", "rows.jsonl: 60 rows")
    see(page)
    open_tab(page, "problems")
    page.get_by_role("button", name="Fix rows").click()
    page.locator(".fs-fix").first.wait_for()
    page.locator(".fs-library tbody tr").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
    grave = [
        (item["id"], item["nodes"][0]["html"][:200]) for item in found if item["impact"] in ("critical", "serious")
    ]
    assert grave == []
