"""Errors and warnings as data: a code and the values seen. The catalogs turn them into sentences in each language.

Problem                  the stored and transmitted form: code, severity, parameters, and a suggested config change
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
Severity = Literal["error", "warning"]


class Code(StrEnum):
    """Every kind of problem. `interfaces.texts` has a sentence for each one in each language."""

    # the config
    UNKNOWN_KEY = "unknown_key"
    VALUE_INVALID = "value_invalid"
    VALUE_MISSING = "value_missing"
    VALUES_CONFLICT = "values_conflict"
    CONFIG_UNREADABLE = "config_unreadable"
    PRESET_UNKNOWN = "preset_unknown"
    SETTING_MALFORMED = "setting_malformed"
    FOREIGN_UNSUPPORTED = "foreign_unsupported"
    # the data
    FILE_MISSING = "file_missing"
    FILE_EMPTY = "file_empty"
    FILE_UNREADABLE = "file_unreadable"
    FILE_TOO_LARGE = "file_too_large"
    UNPACKS_TOO_LARGE = "unpacks_too_large"
    SUFFIX_UNKNOWN = "suffix_unknown"
    CONTENT_MISMATCH = "content_mismatch"
    FORMAT_UNKNOWN = "format_unknown"
    FORMAT_ONE_TURN = "format_one_turn"
    FILE_SPLITS = "file_splits"
    TABLE_CHOICE = "table_choice"
    BAD_ROWS = "bad_rows"
    ROW_BROKEN_JSON = "row_broken_json"
    ROW_BAD_ENCODING = "row_bad_encoding"
    ROW_NOT_OBJECT = "row_not_object"
    ROW_KEY_TWICE = "row_key_twice"
    ROW_FIELD_MISSING = "row_field_missing"
    ROW_FIELD_TYPE = "row_field_type"
    ROW_FIELD_EMPTY = "row_field_empty"
    ROW_ROLE_UNKNOWN = "row_role_unknown"
    ROW_NO_ANSWER = "row_no_answer"
    ROW_HAS_MEDIA = "row_has_media"
    ROW_UNDESIRED = "row_undesired"  # in datasets of earlier versions, which could not use such rows
    ROW_SIDES_EQUAL = "row_sides_equal"
    ROW_PROMPTS_DIFFER = "row_prompts_differ"
    ROW_NO_QUESTION = "row_no_question"
    ROW_COLUMNS = "row_columns"
    ROW_BROKEN_CSV = "row_broken_csv"
    ROW_TOO_LARGE = "row_too_large"
    # rows with warnings: usable, but suspicious
    ROW_DUPLICATE = "row_duplicate"
    ROW_NEARLY_DUPLICATE = "row_nearly_duplicate"
    ROW_IN_BOTH = "row_in_both"
    ROW_ROLE_ORDER = "row_role_order"
    ROW_CONTROL_CHARACTERS = "row_control_characters"
    ROW_DAMAGED_CHARACTER = "row_damaged_character"
    ROW_SPECIAL_TOKEN = "row_special_token"  # noqa: S105
    ROW_NOT_A_VALUE = "row_not_a_value"
    ROW_CELL_LARGE = "row_cell_large"
    ROW_ANSWER_CUT = "row_answer_cut"
    # datasets
    DATASET_CHANGED = "dataset_changed"
    DATASET_NOT_FOUND = "dataset_not_found"
    DATASET_IN_USE = "dataset_in_use"
    COLUMN_MISSING = "column_missing"
    COLUMN_ROLE_UNKNOWN = "column_role_unknown"
    COLUMNS_INCOMPLETE = "columns_incomplete"
    ROW_NUMBER_UNKNOWN = "row_number_unknown"
    NOT_EDITABLE = "not_editable"
    HUB_DATASET_NOT_FOUND = "hub_dataset_not_found"
    HUB_DATASET_UNREACHABLE = "hub_dataset_unreachable"
    HUB_DATASET_CHOICE = "hub_dataset_choice"
    HUB_DATASET_EMPTY = "hub_dataset_empty"
    HUB_DATASET_UNCLEAR = "hub_dataset_unclear"
    METHOD_UNFIT = "method_unfit"
    ONE_SIDE_LONGER = "one_side_longer"
    SUSPICIOUS_ROWS = "suspicious_rows"
    ROWS_SKIPPED = "rows_skipped"
    ROWS_REFUSED = "rows_refused"
    ROWS_DROPPED = "rows_dropped"
    ROWS_SPLIT = "rows_split"
    TEXTS_CONTINUED = "texts_continued"
    LEAK_REMOVED = "leak_removed"
    NOTHING_TO_TRAIN = "nothing_to_train"
    NOTHING_SHOWN = "nothing_shown"
    ROWS_CUT = "rows_cut"
    ROWS_LEFT_OUT = "rows_left_out"
    ROWS_NOT_SHOWN = "rows_not_shown"
    ROWS_UNMARKED = "rows_unmarked"
    ROWS_HOLD_SPECIAL = "rows_hold_special"
    NO_VALIDATION = "no_validation"
    # the model
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_UNREACHABLE = "model_unreachable"
    HUB_BUSY = "hub_busy"
    MODEL_UNAUTHORIZED = "model_unauthorized"
    MODEL_GATED = "model_gated"
    MODEL_INCOMPLETE = "model_incomplete"
    MODEL_NOT_KNOWN = "model_not_known"
    MODEL_UNSUPPORTED = "model_unsupported"
    MODEL_DAMAGED = "model_damaged"
    FOLDER_DAMAGED = "folder_damaged"
    TOKENIZER_UNUSABLE = "tokenizer_unusable"
    MODEL_UNSAFE = "model_unsafe"
    NO_CHAT_TEMPLATE = "no_chat_template"
    POSITIONS_EXCEEDED = "positions_exceeded"
    TOKENS_UNKNOWN = "tokens_unknown"
    TOKENS_UNTRAINED = "tokens_untrained"
    TEMPLATE_REFUSED = "template_refused"
    TEMPLATE_REWRITES_HISTORY = "template_rewrites_history"
    TEMPLATE_TOO_SLOW = "template_too_slow"
    TEMPLATE_WITHOUT_TOOLS = "template_without_tools"
    TEMPLATE_CALL_IDS = "template_call_ids"
    EMPTY_THINKING = "empty_thinking"
    TEMPLATE_WITHOUT_REASONING = "template_without_reasoning"
    FLAT_BATCHES_REFUSED = "flat_batches_refused"
    CHUNKED_LOSS_REFUSED = "chunked_loss_refused"
    STOP_NOT_TRAINED = "stop_not_trained"
    NO_END_OF_TURN = "no_end_of_turn"
    END_NOT_EOS = "end_not_eos"
    TARGET_MODULES_MISSING = "target_modules_missing"
    TARGET_TIED = "target_tied"
    STARTER_UNAVAILABLE = "starter_unavailable"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    # the machine
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    SCHEMA_UNKNOWN = "schema_unknown"
    NOT_WRITABLE = "not_writable"
    OUTPUT_FAILED = "output_failed"
    PROXY_UNUSABLE = "proxy_unusable"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED_FOR_MEMORY = "killed_for_memory"
    CHILD_OVER_LIMIT = "child_over_limit"
    CHILD_CLOSED = "child_closed"
    STUDIO_BUSY = "studio_busy"
    CHAT_NOT_FOUND = "chat_not_found"
    CHAT_BUSY = "chat_busy"
    CHAT_MEMORY = "chat_memory"
    TOO_MANY_QUESTIONS = "too_many_questions"
    CONVERSATION_TOO_LONG = "conversation_too_long"
    QUANTIZATION_UNAVAILABLE = "quantization_unavailable"
    DTYPE_UNAVAILABLE = "dtype_unavailable"
    DEVICE_UNKNOWN = "device_unknown"
    VERSIONS_UNFIT = "versions_unfit"
    DEVICE_NOT_USED = "device_not_used"
    # the run
    LOSS_NOT_FINITE = "loss_not_finite"
    NOTHING_LEARNED = "nothing_learned"
    LOSS_EXPLODED = "loss_exploded"
    WARMUP_TOO_LONG = "warmup_too_long"
    RATE_UNUSUAL = "rate_unusual"
    EARLY_STOPPING_UNREACHABLE = "early_stopping_unreachable"
    TRAINER_KILLED = "trainer_killed"
    TRAINER_ENDED = "trainer_ended"
    START_FAILED = "start_failed"
    PORT_TAKEN = "port_taken"
    CHECKPOINT_REJECTED = "checkpoint_rejected"
    RESTARTED_FROM_ZERO = "restarted_from_zero"
    RESUME_NOT_EXACT = "resume_not_exact"
    STOPPED_EARLY = "stopped_early"
    BEST_ADAPTER = "best_adapter"
    ADAPTER_UNUSABLE = "adapter_unusable"
    ADAPTER_REFUSED = "adapter_refused"
    ADAPTER_SETTINGS_LEFT_OUT = "adapter_settings_left_out"
    ADAPTER_BASE_QUANTIZED = "adapter_base_quantized"
    ADAPTER_BASE_UNKNOWN = "adapter_base_unknown"
    ADAPTER_BASE_MISSING = "adapter_base_missing"
    ADAPTER_SETTINGS = "adapter_settings"
    ADAPTER_BASE = "adapter_base"
    RUN_NOT_FOUND = "run_not_found"
    NO_ROWS_LEFT = "no_rows_left"
    JOB_CANCELED = "job_canceled"
    CACHES_IN_USE = "caches_in_use"
    NOTHING_TO_CLEAN = "nothing_to_clean"
    CLEANUP_OVER = "cleanup_over"
    MODEL_IN_USE = "model_in_use"
    SWEEP_NOT_FOUND = "sweep_not_found"
    SWEEP_SIZE = "sweep_size"
    SWEEP_SETTINGS = "sweep_settings"
    SWEEP_SETTING_UNKNOWN = "sweep_setting_unknown"
    RUN_AMBIGUOUS = "run_ambiguous"
    RUN_ACTIVE = "run_active"
    RUN_NOT_ACTIVE = "run_not_active"
    RUN_NOT_WAITING = "run_not_waiting"
    DEVICE_BUSY = "device_busy"
    QUEUE_PAUSED = "queue_paused"
    QUEUE_HELD = "queue_held"
    RUN_FINISHED = "run_finished"
    NO_ADAPTER = "no_adapter"
    SCORES_ONLY = "scores_only"
    NO_CHECKPOINT = "no_checkpoint"
    MERGE_UNSUPPORTED = "merge_unsupported"
    GGUF_UNSUPPORTED = "gguf_unsupported"
    NO_EXPORT = "no_export"
    NO_GGUF = "no_gguf"
    NO_GGUF_EXPORT = "no_gguf_export"
    PUSH_FAILED = "push_failed"
    NO_LLAMA_CPP = "no_llama_cpp"
    MODEL_NOT_SERVED = "model_not_served"
    KEY_WRONG = "key_wrong"
    NOT_REPRODUCIBLE = "not_reproducible"
    LINEAGE_MISSING = "lineage_missing"
    DATA_UNKNOWN = "data_unknown"
    # evaluations
    NOTHING_HELD_OUT = "nothing_held_out"
    EVALUATION_LEFT_OUT = "evaluation_left_out"
    METRIC_NOT_MEASURED = "metric_not_measured"
    NOTHING_TO_EVALUATE = "nothing_to_evaluate"
    ALL_TRAINED_ON = "all_trained_on"
    BASE_CHANGED = "base_changed"
    GATE_UNREADABLE = "gate_unreadable"
    NO_EVALUATION = "no_evaluation"
    OUTPUT_EXISTS = "output_exists"
    JOB_FAILED = "job_failed"
    JOB_NOT_FOUND = "job_not_found"
    # requests of pages and scripts
    HOST_UNKNOWN = "host_unknown"
    ORIGIN_FOREIGN = "origin_foreign"
    NOT_LOGGED_IN = "not_logged_in"
    ADDRESS_UNKNOWN = "address_unknown"
    METHOD_UNKNOWN = "method_unknown"
    BODY_UNREADABLE = "body_unreadable"
    UNEXPECTED = "unexpected"


BROKEN_RUN = frozenset(
    {
        Code.OUT_OF_MEMORY,
        Code.KILLED_FOR_MEMORY,
        Code.DISK_ERROR,
        Code.LOSS_NOT_FINITE,
        Code.NOTHING_LEARNED,
        Code.LOSS_EXPLODED,
        Code.TRAINER_KILLED,
        Code.TRAINER_ENDED,
        Code.START_FAILED,
        Code.UNEXPECTED,
    }
)
"""Failures of a run with valid input: the terminal exits with 1. All others are invalid input: it exits with 2."""


Changes = dict[str, bool | int | float | str]
"""Settings by their names in a config, `lora.r` inside a part of it, with new values."""


class Problem(BaseModel):
    """One error or warning.

    `params` are the values seen (file, row, line, field, value, ...). If other settings would fix the
    problem, `change` maps config fields to their new values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    code: Code
    severity: Severity = "error"
    params: dict[str, Any] = Field(default_factory=dict)
    change: Changes | None = None

    @classmethod
    def error(cls, code: Code, /, **params: Any) -> Problem:
        return cls(code=code, params=params)

    @classmethod
    def warning(cls, code: Code, /, **params: Any) -> Problem:
        return cls(code=code, severity="warning", params=params)
