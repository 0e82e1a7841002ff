"""Cards of exports: the adapter's own, with how these files are loaded and what the proof says."""

from __future__ import annotations

import yaml

from interfaces.exports import Comparison, ExportRequest, Proof, ProofRow
from trainer.artifacts.export_card import export_card

OWN = """---
library_name: peft
base_model: org/base
tags: [lora, finetune-studio]
---

# Mine

| | |
|---|---|
| Base model | org/base |

## Load it

```python
model = PeftModel.from_pretrained(base, ".")
```

Answers end with `<|im_end|>`.

## Settings

```yaml
seed: 42
```

<!-- evaluation -->
## Evaluation
<!-- /evaluation -->
"""


def request(kind: str, quantization: str | None = None) -> ExportRequest:
    return ExportRequest.model_validate({"kind": kind, "quantization": quantization, "name": "mine"})


def front(card: str) -> dict[str, object]:
    return dict(yaml.safe_load(card.split("---")[1]))


def test_a_merged_model_and_a_gguf_are_loaded_in_their_own_way() -> None:
    merged = export_card(OWN, request("merged", "f16"), None)
    assert front(merged) == {
        "library_name": "transformers", "base_model": "org/base", "tags": ["lora", "finetune-studio"], "base_model_relation": "finetune",
    }  # fmt: skip
    assert "PeftModel" not in merged
    assert merged.count("## Load it") == 1
    assert 'pipeline("text-generation", "."' in merged
    for kept in ("# Mine", "## Settings", "seed: 42", "<!-- evaluation -->", "<!-- /evaluation -->"):
        assert kept in merged
    gguf = export_card(OWN, request("gguf", "q8_0"), None)
    assert front(gguf)["library_name"] == "gguf"
    assert front(gguf)["base_model_relation"] == "quantized"
    assert "llama-server -m mine" in gguf
    assert "ollama create" in export_card(OWN, request("ollama", "q8_0"), None)
    adapter = export_card(OWN, request("adapter"), None)
    assert "PeftModel" in adapter
    assert front(adapter)["base_model_relation"] == "adapter"


def test_the_proof_is_in_the_card() -> None:
    rows = [ProofRow(prompt="?", taught=True, reference="a", answer="a", differs_at=None if at else 1) for at in range(20)]  # fmt: skip
    proof = Proof(
        exported=Comparison(way="llama_cpp", number_format="q8_0", rows=rows),
        control=Comparison(way="run", number_format="bfloat16", rows=rows[1:] + rows[1:2]), tokens=16, passed=True,
    )  # fmt: skip
    card = export_card(OWN, request("gguf", "q8_0"), proof)
    assert "the first 16 tokens of 19 of 20 answers" in card
    assert "in bfloat16: 20 of 20" in card
