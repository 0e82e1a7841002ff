"""The model card of an export: that of the adapter, with how these files are loaded, and the proof."""

from __future__ import annotations

import re

import yaml

from interfaces.exports import ExportRequest, Proof

_FRONT = re.compile(r"\A---\n(?P<front>.*?)\n---\n", re.DOTALL)
_LOADING = re.compile(r"^## Load it\n.*?(?=^## |^<!-- |\Z)", re.DOTALL | re.MULTILINE)
_LIBRARY = {"adapter": "peft", "merged": "transformers", "gguf": "gguf", "ollama": "gguf"}
_LOAD = {
    "merged": """\
```python
from transformers import pipeline

chat = pipeline("text-generation", ".", dtype="auto")  # this folder
print(chat([{{"role": "user", "content": "Hello"}}], max_new_tokens=100)[0]["generated_text"][-1]["content"])
```
""",
    "gguf": """\
```
llama-server -m {name}
```
""",
    "ollama": """\
```
ollama create my-model -f Modelfile
ollama run my-model
```
""",
}


def export_card(card: str, request: ExportRequest, proof: Proof | None) -> str:
    """Return the card for exported files, given one of the adapter."""
    found = _FRONT.match(card)
    front = dict(yaml.safe_load(found["front"])) if found else {}
    front["library_name"] = _LIBRARY[request.kind]
    if "base_model" in front:
        relation = {"adapter": "adapter", "merged": "finetune"}.get(request.kind, "quantized")
        front["base_model_relation"] = relation
    body = card[found.end() :] if found else card
    if request.kind != "adapter":
        loading = f"## Load it\n\n{_LOAD[request.kind].format(name=request.name)}\n"
        body = _LOADING.sub(lambda _: loading, body, count=1)
    written = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return f"---\n{written}---\n{body.rstrip()}\n{_proof_section(request, proof)}"


def _proof_section(request: ExportRequest, proof: Proof | None) -> str:
    if proof is None:
        return ""
    exported, control = proof.exported, proof.control
    count, kind = len(exported.rows), request.quantization or "an adapter"
    return (
        f"\n## Proof\n\nExported as {kind}: the first {proof.tokens} tokens of {exported.equal} of {count} answers are those "
        f"of the merged model in fp32. Control, the run itself in {control.number_format}: {control.equal} of {count}.\n"
    )
