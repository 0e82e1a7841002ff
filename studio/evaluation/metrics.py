"""How an answer is compared with its reference: a score from 0 to 1 for each row, where 1 is best."""

from __future__ import annotations

import json
import re
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import regex

from interfaces.evaluations import EvaluationQuestion, EvaluationSpec, Metric
from interfaces.example import Message

SHARES: tuple[Metric, ...] = ("exact_match", "number_match", "pattern_match", "json_valid", "json_schema", "tool_call")
"""Metrics that are 0 or 1 for a row. The others are means of what lies between."""
MOST_ALIKE = 0.9
"""A metric is proposed if at least this share of the references has its form."""
SHORT_REFERENCE = 40
"""References of at most this many characters, by the median, can be expected word for word."""
PATTERN_SECONDS = 1.0
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)
_WORDS = re.compile(r"[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]|[^\W_]+")


def proposed(questions: Sequence[EvaluationQuestion], spec: EvaluationSpec) -> list[Metric]:
    """Return the metrics that fit what the references look like."""
    references = [one.reference for one in questions if one.set == "data" and one.reference is not None]
    if not references:
        return []
    texts = [reference.content.strip() for reference in references]

    def alike(fits: Sequence[bool]) -> bool:
        return sum(fits) >= MOST_ALIKE * len(references)

    found: list[Metric] = []
    if alike([bool(reference.tool_calls) for reference in references]):
        return ["tool_call"]
    if alike([_is_json_structure(text) for text in texts]):
        found += ["json_valid", "exact_match"]
    elif alike([_NUMBER.fullmatch(text) is not None for text in texts]):
        found += ["number_match"]
    elif statistics.median(map(len, texts)) <= SHORT_REFERENCE:
        found += ["exact_match"]
    if spec.json_schema is not None:
        found.append("json_schema")
    if spec.pattern:
        found.append("pattern_match")
    return found if found == ["number_match"] else [*found, "rouge_l", "chrf"]


def score(metric: Metric, answer: str, reference: Message, spec: EvaluationSpec) -> float:
    """Return the score of an answer, from 0 to 1."""
    wanted = reference.content
    if metric == "exact_match":
        return float(normalized(answer) == normalized(wanted))
    if metric == "number_match":
        return float(_last_number(answer) is not None and _last_number(answer) == _last_number(wanted))
    if metric == "pattern_match":
        return float(matches(spec.pattern, answer))
    if metric == "json_valid":
        return float(_json_of(answer) is not _NOTHING)
    if metric == "json_schema":
        return float(_fits_schema(answer, spec.json_schema))
    if metric == "tool_call":
        return float(_same_calls(answer, reference))
    return _rouge_l(answer, wanted) if metric == "rouge_l" else _chrf(answer, wanted)


def accepts(question: EvaluationQuestion, answer: str) -> float:
    """Return 1 if the answer to a general question is right, otherwise 0."""
    return float(any(matches(pattern, answer) for pattern in question.accept))


def normalized(text: str) -> str:
    """Return a text without what doesn't count: case, the kind of spaces, and punctuation at both ends."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _EDGES.sub("", plain) or plain


def matches(pattern: str, text: str) -> bool:
    """Return whether an expression matches somewhere. One that takes too long doesn't."""
    try:
        return regex.search(pattern, text.strip(), timeout=PATTERN_SECONDS) is not None
    except (TimeoutError, regex.error):
        return False


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


_NOTHING = object()


def _json_of(text: str) -> Any:
    """Return the JSON value that a text is, with or without a code fence around it, or `_NOTHING`."""
    plain = text.strip()
    fenced = _FENCE.match(plain)
    try:
        return json.loads(fenced[1] if fenced else plain)
    except (ValueError, RecursionError):
        return _NOTHING


def _is_json_structure(text: str) -> bool:
    return isinstance(_json_of(text), dict | list)


def _fits_schema(answer: str, schema: dict[str, object] | None) -> bool:
    import jsonschema
    from referencing import Registry  # an empty one: no reference is fetched from the network

    value = _json_of(answer)
    if value is _NOTHING or schema is None:
        return False
    try:
        jsonschema.validators.validator_for(schema)(schema, registry=Registry()).validate(value)
    except Exception:  # noqa: BLE001  also a reference that can't be resolved
        return False
    return True


def _same_calls(answer: str, reference: Message) -> bool:
    """Return whether an answer calls the same functions with the same arguments, in the same order."""
    wanted = [(call.name, call.arguments) for call in reference.tool_calls]
    return bool(wanted) and list(_calls_of(answer)) == wanted


def _calls_of(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the calls that a text holds as JSON objects, whatever marks a model's template writes around them."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            function = value.get("function", value)
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                arguments = function.get("arguments", function.get("parameters", {}))
                yield function["name"], _json_of(arguments) if isinstance(arguments, str) else arguments
        at = text.find("{", end)


def _rouge_l(answer: str, reference: str) -> float:
    """Return the F-measure of ROUGE-L (Lin 2004, aclanthology.org/W04-1013)."""
    return float(_rouge_scorer().score(reference, answer)["rougeL"].fmeasure)


def _chrf(answer: str, reference: str) -> float:
    """Return chrF2 (Popović 2015, aclanthology.org/W15-3049), as a share of 1."""
    return float(_chrf_scorer().sentence_score(answer, [reference]).score) / 100


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    class Words:
        """Words in lower case; each Chinese, Japanese and Korean character is one, since no spaces divide them."""

        def tokenize(self, text: str) -> list[str]:
            return _WORDS.findall(text.lower())

    return RougeScorer(["rougeL"], tokenizer=Words())


@cache
def _chrf_scorer() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()
