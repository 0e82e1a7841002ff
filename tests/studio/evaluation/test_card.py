"""The model card has the newest evaluation of its adapter, and nothing else of it changes."""

from __future__ import annotations

from interfaces.evaluations import EvaluationSpec
from interfaces.files import sha256_of
from interfaces.folders import Home
from studio.evaluation.card import update_card
from studio.evaluation.scoring import result_of
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run


def test_the_card_has_the_newest_evaluation_of_this_adapter(home: Home) -> None:
    run = recorded_run(home)
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"weights")
    card = run.adapter / "README.md"
    card.write_text("# Mine\n\nText.\n")
    questions = [question(number, "Q", "yes") for number in range(1, 9)]
    sha256 = sha256_of(run.adapter / "adapter_model.safetensors")
    for tuned in ("no", "yes"):
        lines = [line for one in questions for line in answers(one.number, "no", tuned)]
        folder = recorded_evaluation(run, questions, lines, adapter_sha256=sha256)
        result = result_of(folder)
        assert result is not None
        update_card(folder, EvaluationSpec.of(folder), result)
    text = card.read_text()
    assert text.startswith("# Mine\n\nText.\n\n")
    assert text.count("## Evaluation") == 1
    assert "| Exact match | 0.000 (0.000 to 0.324) | 1.000 (0.676 to 1.000) | +1.000 | better |" in text
    assert "8 rows of tests.jsonl" in text
    (run.adapter / "adapter_model.safetensors").write_bytes(b"other weights")
    card.write_text("# New\n")
    update_card(folder, EvaluationSpec.of(folder), result)
    assert card.read_text() == "# New\n", "another adapter has another card"
