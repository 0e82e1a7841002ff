"""What is wrong with a config: pydantic's errors as problems with sub-codes that the catalogs have, and our own rules."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Required, TypedDict

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from interfaces.config import FineTuneConfig, fields, method_of, token_budget
from interfaces.foreign_names import FOREIGN_NAMES
from interfaces.problems import Code, Problem

_LIMITS = ("gt", "ge", "lt", "le", "max_length", "min_length", "expected")
"""The keys in pydantic's error context that hold the violated limit or the allowed choices."""
_SAME = {
    "bool_type": "bool_parsing", "int_type": "int_parsing", "int_from_float": "int_parsing", "float_type": "float_parsing",
    "string_sub_type": "string_type", "mapping_type": "dict_type", "too_long": "string_too_long", "too_short": "string_too_short",
    "string_pattern_mismatch": "literal_error", "enum": "literal_error", "model_type": "dict_type", "model_attributes_type": "dict_type",
}  # fmt: skip


class Expectation(TypedDict, total=False):
    """A sub-code with the limit or the choices that were missed, or pydantic's own words."""

    code: Required[str]
    words: str
    known: object


def expectation_of(details: ErrorDetails) -> Expectation:
    """Convert a pydantic error record to {"code", "known"}: a sub-code, and the limit or the choices.

    Our own validators raise ValueError with a sub-code. Any other error keeps pydantic's message.
    """
    kind, context = str(details["type"]), details.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        return {"code": str(context.get("error") or details["msg"])}
    known = next((context[name] for name in _LIMITS if name in context), context.get("pattern"))
    expectation: Expectation = {"code": f"pydantic_{_SAME.get(kind, kind)}", "words": str(details["msg"])}
    if known is not None:
        expectation["known"] = known
    return expectation


def merged(one: list[Expectation], more: list[Expectation]) -> list[Expectation]:
    """Merge what the members of a union (`true or auto`) expected, without duplicates."""
    return [*one, *(other for other in more if other not in one)]


def problems_of(error: ValidationError, known: Sequence[str]) -> list[Problem]:
    """Convert the errors of a config to problems. `known` are the dotted names of all settings."""
    return _by_field(_problem_of(details, known) for details in error.errors())


def _by_field(problems: Iterable[Problem]) -> list[Problem]:
    """Keep one problem per field: a union (`bf16: true or auto`) reports each member that didn't match."""
    by_field: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        key = (problem.code, problem.params["field"])
        if key in by_field and "expected" in problem.params:
            both = merged(by_field[key].params["expected"], problem.params["expected"])
            problem = Problem.error(problem.code, **{**problem.params, "expected": both})
        by_field[key] = problem
    return list(by_field.values())


def _problem_of(details: ErrorDetails, known: Sequence[str]) -> Problem:
    """Convert a pydantic error record to a Problem."""
    # A union reports each member: keep only the field's name, not the member's.
    parts = [str(part) for part in details["loc"]]
    field = next(
        (".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), ".".join(parts)
    )
    if details["type"] == "extra_forbidden":
        field = ".".join(parts)
        if (ours := FOREIGN_NAMES.get(parts[-1])) is not None:
            return Problem.error(Code.UNKNOWN_KEY, field=field, suggestion=ours)
        close = difflib.get_close_matches(field, known, n=1, cutoff=0.5) or difflib.get_close_matches(
            parts[-1], [name.split(".")[-1] for name in known], n=1, cutoff=0.6
        )
        return Problem.error(Code.UNKNOWN_KEY, field=field, suggestion=close[0] if close else "")
    if details["type"] == "missing" or details.get("input") is None:
        return Problem.error(Code.VALUE_MISSING, field=field)
    seen, expected = _short(details.get("input")), [expectation_of(details)]
    return Problem.error(Code.VALUE_INVALID, field=field, value=seen, expected=expected)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def config_problems(config: Mapping[str, object]) -> list[Problem]:
    """Return all problems of `config` together; an empty list means that it is valid.

    Warnings are included: `validate_config` looks only for errors.
    """
    try:
        checked = FineTuneConfig.model_validate(config)
    except ValidationError as error:
        return problems_of(error, [*FineTuneConfig.model_fields, *(name for name, _ in fields())])
    return list(_conflicts(checked))


def config_errors(config: Mapping[str, object]) -> list[Problem]:
    """Return the problems that block a start."""
    return [problem for problem in config_problems(config) if problem.severity == "error"]


def _conflicts(config: FineTuneConfig) -> Iterator[Problem]:
    """Check rules across fields. These can't be validators, because a preset's fields are set one after the other."""
    if not config.dataset or (isinstance(config.dataset, str) and not config.dataset.strip()):
        yield Problem.error(Code.VALUE_MISSING, field="dataset")
    if config.load_in_8bit and config.load_in_4bit:
        yield Problem.error(Code.VALUES_CONFLICT, field="load_in_8bit", other="load_in_4bit")
    if config.bf16 is True and config.fp16:
        yield Problem.error(Code.VALUES_CONFLICT, field="bf16", other="fp16")
    if config.fp16 and not config.lora.autocast_adapter_dtype:
        found = {"value": "False", "expected": "true_with_fp16"}
        yield Problem.error(Code.VALUE_INVALID, field="lora.autocast_adapter_dtype", **found)
    if token_budget(config) and 0 < config.max_tokens_per_batch < config.max_length:
        found = {"value": str(config.max_tokens_per_batch), "expected": "at_least_max_length"}
        yield Problem.error(Code.VALUE_INVALID, field="max_tokens_per_batch", **found, known=config.max_length)
    yield from _method_conflicts(config)
    yield from _full_conflicts(config)
    if config.tuning == "lora" and config.lora.modules_to_save:
        for other in ("fp16", "adapter_name_or_path"):
            if getattr(config, other):
                yield Problem.error(Code.VALUES_CONFLICT, field="lora.modules_to_save", other=other)
    yield from _first_weight_conflicts(config)
    measures = config.validation_split or config.validation_dataset
    needs_measures = config.early_stopping_patience or config.load_best_model_at_end
    if needs_measures and not (config.eval_steps and measures):
        needs = "eval_steps" if measures else "validation_split"
        yield Problem.error(Code.VALUE_MISSING, field=needs)


def _first_weight_conflicts(config: FineTuneConfig) -> Iterator[Problem]:
    """Check the settings that first weights from the model or from the data can't go with."""
    lora = config.lora
    if config.tuning == "full" or lora.init_lora_weights == "default":
        return
    others: dict[str, object] = {"adapter_name_or_path": config.adapter_name_or_path}
    if lora.init_lora_weights == "eva":  # layers with the same inputs share their directions
        others["lora.rank_pattern"] = lora.rank_pattern
    else:  # the base's own weights change, and the adapter is stored with twice the rank
        others |= {
            "load_in_8bit": config.load_in_8bit, "load_in_4bit": config.load_in_4bit, "lora.use_dora": lora.use_dora,
            "lora.modules_to_save": lora.modules_to_save, "lora.autocast_adapter_dtype": not lora.autocast_adapter_dtype,
        }  # fmt: skip
    for other, in_use in others.items():
        if in_use:
            yield Problem.error(Code.VALUES_CONFLICT, field="lora.init_lora_weights", other=other)


def _full_conflicts(config: FineTuneConfig) -> Iterator[Problem]:
    """Check the settings that full fine-tuning can't use."""
    if config.tuning != "full":
        return
    for field in ("load_in_8bit", "load_in_4bit"):
        if getattr(config, field):
            found = {"value": "true", "expected": "not_quantized_for_full"}
            yield Problem.error(Code.VALUE_INVALID, field=field, **found)
    if config.fp16:
        yield Problem.error(Code.VALUE_INVALID, field="fp16", value="true", expected="no_fp16_for_full")
    if config.adapter_name_or_path:
        found = {"value": repr(config.adapter_name_or_path), "expected": "no_adapter_for_full"}
        yield Problem.error(Code.VALUE_INVALID, field="adapter_name_or_path", **found)


def _method_conflicts(config: FineTuneConfig) -> Iterator[Problem]:
    """Check the settings that some methods can't use."""
    method = method_of(config)
    if method.least_batch > 1 and config.packing:
        yield Problem.error(Code.VALUE_INVALID, field="packing", value="true", expected="no_packing_for_kto")
    elif method.least_batch > config.per_device_train_batch_size:
        found = {"value": str(config.per_device_train_batch_size), "expected": "two_for_kto"}
        yield Problem.error(Code.VALUE_INVALID, field="per_device_train_batch_size", **found)
    if not method.generates:
        yield from _reward_conflicts(config)
    elif method.rows == "pairs" and config.long_rows == "split":
        found = {"value": repr(config.long_rows), "expected": "no_split_of_pairs"}
        yield Problem.error(Code.VALUE_INVALID, field="long_rows", **found)
    if config.dpo.loss_type == "exo_pair" and config.method == "dpo" and not config.dpo.label_smoothing:
        yield Problem.error(Code.VALUE_INVALID, field="dpo.label_smoothing", value="0", expected="above_0_for_exo")


def _reward_conflicts(config: FineTuneConfig) -> Iterator[Problem]:
    """Check the settings that a model without answers can't use."""
    if config.tuning == "full":
        yield Problem.error(Code.VALUE_INVALID, field="tuning", value="full", expected="lora_for_reward")
    if config.long_rows != "drop":
        found = {"field": "long_rows", "value": repr(config.long_rows), "expected": "drop_for_reward"}
        yield Problem(code=Code.VALUE_INVALID, params=found, change={"long_rows": "drop"})
    for field in ("evaluation_dataset", "gate"):
        if value := getattr(config, field):
            yield Problem.error(Code.VALUE_INVALID, field=field, value=repr(value), expected="empty_for_reward")
    if layers := config.lora.modules_to_save:
        found = {"value": ", ".join(layers), "expected": "empty_for_reward"}
        yield Problem.error(Code.VALUE_INVALID, field="lora.modules_to_save", **found)
