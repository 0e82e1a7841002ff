"""What the pages say, in English and in Simplified Chinese. Both hold the same keys with the same parameters."""

from __future__ import annotations

from studio.texts.data_texts import DATA_TEXTS
from studio.texts.fit_texts import FIT_TEXTS
from studio.texts.queue_texts import QUEUE_TEXTS

LANGUAGES = ("en", "zh")

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Finetune Studio", "train": "Train", "run": "Run", "runs": "Runs", "other_language": "中文",
        "theme": "Light or dark",
        "train_heading": "Teach a model from your examples",
        "model": "1. Model", "model_help": "Where training starts. What doesn't fit your machine is marked.",
        "own_model": "Another model", "own_model_help": "A Hub id such as Qwen/Qwen3-0.6B, or a folder. Empty: the one chosen above.",
        "fits": "fits", "tight": "tight", "too_big": "too big",
        "here": "already here", "download": "{size} to download", "context": "{tokens} tokens", "gated": " (ask for access)",
        "tier_best": "Best choice", "tier_alternative": "Alternative", "tier_caution": "With caution", "tier_more": "Also good", "tier_starter": "Starter",
        "data": "2. Examples",                                         "no_connection": "The studio doesn't answer. Is it still running?",
        "settings": "3. Settings", "preset": "Preset", "preset_help": "Sets all dials for a machine; change what you like afterwards.",
        "more": "All other settings", "group_model": "Model", "group_data": "Data", "group_lora": "Adapter (LoRA)",
        "group_training": "Training", "group_memory": "Memory and numbers", "group_saving": "Saving and measuring",
        "review": "4. Review", "ready": "Ready: {model} learns from {data}, {epochs} times, {batch} examples an update.",
        "ready_packed": "Ready: {model} learns from {data}, {epochs} times, at most {tokens} tokens an update.",
        "ready_further": " It goes on from the adapter of {adapter}.",
        "missing_data": "Still missing: examples. Drop a file above, or take the sample.",
        "start": "Start training", "starting": "Starting ...",
        "warm_trainer": "A trainer is loaded and waits: the first point comes within seconds. It holds {memory}, and ends by itself when nothing is started for half an hour.",
        "warm_trainer_free": "Free its memory",
        "state_queued": "waiting", "state_starting": "starting", "state_running": "running", "state_stopping": "stopping",
        "state_stopped": "stopped", "state_finished": "finished", "state_failed": "failed", "state_interrupted": "interrupted",
        "no_run": "No run is chosen. Choose one from the list of runs.", "no_runs": "No runs yet. Start one on the page 'Train'.",
        "train_loss": "Training loss", "validation_loss": "Validation loss", "step": "Step", "epoch": "Epoch", "eta": "Time left",
        "speed": "Speed", "memory": "Memory", "loss": "Loss", "tokens_per_second": "{n} tokens/s", "waiting_for_points": "The curve begins with the first step.",
        "stop": "Stop and save", "discard": "Discard", "discard_sure": "End this run now and save nothing?", "resume": "Resume",
        "stop_within": "Saving; done within {seconds} s", "saved_step": "Saved at step", "resumed_from": "attempt {attempt}, went on from step {step}",
        "retry": "Start again", "retry_help": "The same settings from where this run began, as a new run", "go_on": "Train further", "go_on_help": "Another run that goes on from this adapter; you can change its settings first",
        "interrupted_told": "Interrupted, and not lost: {names}", "resume_all": "Go on with all, one after the other",
        "next_adapter": "What next: download the adapter, whose README says how to load it; train it further; or", "next_own": "train on your own rows",
        "download_adapter": "Download adapter", "log": "Log", "answers": "Before and after", "prompt": "Question",
        "before": "Base model", "after": "Tuned", "notes": "Notes", "name": "Run", "model_column": "Model", "data_column": "Data",
        "time": "Time", "state": "State", "open": "Open", "delete": "Delete", "undo": "Undo", "deleted": "{name} was deleted.",
        "curve": "Loss over steps", "linear": "Linear", "logarithmic": "Logarithmic",
    },
    "zh": {
        "title": "Finetune Studio", "train": "训练", "run": "运行", "runs": "全部运行", "other_language": "English",
        "theme": "浅色或深色",
        "train_heading": "用你的示例教会模型",
        "model": "1. 模型", "model_help": "训练的起点。不适合本机的会标出来。",
        "own_model": "其他模型", "own_model_help": "Hub 上的名称（如 Qwen/Qwen3-0.6B）或本地目录。留空则使用上面选中的模型。",
        "fits": "适合", "tight": "勉强", "too_big": "太大",
        "here": "已在本机", "download": "需下载 {size}", "context": "{tokens} 词元", "gated": "（需申请访问）",
        "tier_best": "首选", "tier_alternative": "备选", "tier_caution": "谨慎使用", "tier_more": "也不错", "tier_starter": "入门",
        "data": "2. 示例数据",                                         "no_connection": "没有收到 Studio 的回应。它还在运行吗？",
        "settings": "3. 设置", "preset": "预设", "preset_help": "按机器设置全部参数；之后可以随意修改。",
        "more": "其他全部设置", "group_model": "模型", "group_data": "数据", "group_lora": "适配器（LoRA）",
        "group_training": "训练", "group_memory": "内存与数值", "group_saving": "保存与测量",
        "review": "4. 检查", "ready": "已就绪：{model} 学习 {data}，共 {epochs} 遍，每次更新 {batch} 个示例。",
        "ready_packed": "已就绪：{model} 学习 {data}，共 {epochs} 遍，每次更新至多 {tokens} 个词元。",
        "ready_further": "从 {adapter} 的适配器接着训练。",
        "missing_data": "还缺少示例数据。请在上面拖入文件，或使用示例数据。",
        "start": "开始训练", "starting": "正在启动……",
        "warm_trainer": "训练进程已载入并在等待：几秒内就会出现第一个点。它占用 {memory}，半小时内没有启动训练便会自行结束。",
        "warm_trainer_free": "释放其内存",
        "state_queued": "等待中", "state_starting": "启动中", "state_running": "运行中", "state_stopping": "停止中",
        "state_stopped": "已停止", "state_finished": "已完成", "state_failed": "失败", "state_interrupted": "已中断",
        "no_run": "没有选择运行。请从列表中选择。", "no_runs": "还没有运行。请在“训练”页开始。",
        "train_loss": "训练损失", "validation_loss": "验证损失", "step": "步", "epoch": "轮次", "eta": "剩余时间",
        "speed": "速度", "memory": "内存", "loss": "损失", "tokens_per_second": "{n} 词元/秒", "waiting_for_points": "第一步完成后开始显示曲线。",
        "stop": "停止并保存", "discard": "放弃", "discard_sure": "现在结束这次运行并且不保存？", "resume": "继续",
        "stop_within": "正在保存，{seconds} 秒内完成", "saved_step": "已保存到步", "resumed_from": "第 {attempt} 次启动，从第 {step} 步继续",
        "retry": "重新开始", "retry_help": "用同样的设置从这次运行的起点重新开始，作为新的运行", "go_on": "接着训练", "go_on_help": "从这个适配器接着训练的新运行；可以先修改设置",
        "interrupted_told": "已中断，但没有丢失：{names}", "resume_all": "依次全部继续",
        "next_adapter": "接下来：下载适配器（其中的 README 说明如何加载）、继续训练，或", "next_own": "用您自己的数据训练",
        "download_adapter": "下载适配器", "log": "日志", "answers": "训练前后对比", "prompt": "问题",
        "before": "原模型", "after": "微调后", "notes": "提示", "name": "运行", "model_column": "模型", "data_column": "数据",
        "time": "用时", "state": "状态", "open": "打开", "delete": "删除", "undo": "撤销", "deleted": "已删除 {name}。",
        "curve": "损失随步数的变化", "linear": "线性", "logarithmic": "对数",
    },
}  # fmt: skip

for _more in (DATA_TEXTS, FIT_TEXTS, QUEUE_TEXTS):
    for _language, _texts in _more.items():
        TEXTS[_language] |= _texts

# What a name of the field's own doesn't say by itself.
LABELS_EN = {
    "lora.r": "Rank", "lora.lora_alpha": "Strength alpha", "lora.use_rslora": "rsLoRA", "lora.use_dora": "DoRA", "lora.autocast_adapter_dtype": "Adapter in 32 bits",
    "lora.lora_dropout": "Dropout", "num_train_epochs": "Epochs", "per_device_train_batch_size": "Batch size",
    "gradient_accumulation_steps": "Gradient accumulation", "load_in_8bit": "8 bits", "load_in_4bit": "4 bits",
    "bad_rows": "Rows at fault", "long_rows": "Long rows", "validation_dataset": "Measure with", "validation_split": "Share to measure with",
    "optim": "Optimiser", "max_length": "Longest example", "adapter_name_or_path": "Go on from", "load_best_model_at_end": "Give out the best", "neftune_noise_alpha": "NEFTune noise", "bf16": "bf16",
}  # fmt: skip

# English labels and help come from the settings themselves; Chinese ones stand here, by the setting's name.
FIELDS_ZH: dict[str, tuple[str, str]] = {
    "name": ("名称", "这次运行的名称，可随意填写。"),
    "model_revision": ("模型版本", "Hub 上模型的分支、标签或提交。"),
    "load_in_8bit": ("8 位加载", "以 8 位保存原模型：内存约为 16 位的一半（bitsandbytes）。"),
    "load_in_4bit": ("4 位加载", "以 4 位保存原模型：内存约为 16 位的四分之一（QLoRA）。"),
    "validation_split": ("验证比例", "留出多少行来衡量真正学到了什么。"),
    "max_length": ("最大长度", "最长的示例；更长的会被截断、丢弃或拆分，并计数。"),
    "bad_rows": ("有错的行", "stop：有错就不开始；skip：略过有错和可疑的行，并计数。"),
    "long_rows": ("过长的行", "超过 max_length 时：truncate 截断，drop 丢弃，split 在轮次之间拆分。"),
    "validation_dataset": ("验证数据集", "用这个文件或数据集来测量，而不是留出一部分。"),
    "sample_prompts": ("示例问题", "训练前后各回答一次，便于对比。每行一个。"),
    "sample_while_training": ("训练中也回答", "每次测量时也回答示例问题，而不只在训练前后。"),
    "sample_max_new_tokens": ("回答长度", "示例问题的最长回答。"),
    "lora.r": ("秩 r", "适配器的秩：越大学得越多，占用内存也越多。"),
    "lora.lora_alpha": ("强度 alpha", "适配器按 lora_alpha / r 缩放。"),
    "lora.lora_dropout": ("dropout", "随机丢弃适配器输入的比例，防止过拟合。"),
    "lora.target_modules": ("目标层", "哪些层带适配器：all-linear，或层名列表。"),
    "lora.use_rslora": ("rsLoRA", "按 lora_alpha / sqrt(r) 缩放，高秩时更稳定。"),
    "lora.autocast_adapter_dtype": (
        "适配器用 32 位",
        "适配器保持 32 位。关闭则为 16 位：省一点内存，但微小的更新会被舍入掉。",
    ),
    "packing": ("装箱", "每批按 max_tokens_per_batch 装入完整样本，而不是按样本数。"),
    "max_tokens_per_batch": ("每批词元数", "装箱时一批的词元数；0 表示 per_device_train_batch_size 乘以 max_length。"),
    "lora.use_dora": ("DoRA", "分别学习权重的方向与大小；较慢。"),
    "num_train_epochs": ("训练轮数", "整个数据集学习多少遍。"),
    "max_steps": ("最多步数", "到此步数就停止；-1 表示由轮数决定。"),
    "per_device_train_batch_size": ("批大小", "一次计算的示例数：越大越快，内存越多。"),
    "gradient_accumulation_steps": ("梯度累积", "累积多少批再更新一次：不增加内存的大批量。"),
    "learning_rate": ("学习率", "每次更新的幅度。太大发散，太小学不到。"),
    "lr_scheduler_type": ("学习率变化", "学习率在训练中如何下降。"),
    "warmup_steps": ("预热步数", "缓慢起步的步数；小于 1 表示占全部步数的比例，不足一步则不预热。"),
    "optim": ("优化器", "优化器，沿用 transformers 的名称。"),
    "weight_decay": ("权重衰减", "把适配器权重拉向零的力度。"),
    "max_grad_norm": ("梯度上限", "超过此长度的梯度会被缩短；0 表示不限制。"),
    "neftune_noise_alpha": ("NEFTune 噪声", "嵌入上的噪声；0 关闭，通常为 5。"),
    "early_stopping_patience": ("提前停止", "多少次测量没有变好就停止；0 关闭。"),
    "load_best_model_at_end": ("取最佳", "输出验证损失最低处的适配器，而不是最后一步的。"),
    "adapter_name_or_path": ("接着训练的适配器", "从这个适配器开始，而不是新的：运行的编号，或 PEFT 保存的目录。"),
    "seed": ("随机种子", "相同种子，相同的数据顺序与划分。"),
    "gradient_checkpointing": ("梯度检查点", "重新计算而不保存：内存少得多，约慢三分之一；auto 在内存需要时使用。"),
    "device": ("设备", "在哪里训练：auto、cpu、mps 或 cuda（cuda:1 为第二块卡）。"),
    "bf16": ("bf16", "宽范围的 16 位运算；auto 在机器支持时使用。"),
    "fp16": ("fp16", "较旧 GPU 的 16 位运算。"),
    "cpu_threads": ("处理器线程", "使用的线程数；0 表示每核一个。"),
    "logging_steps": ("记录间隔", "每多少步在曲线上画一个点。"),
    "eval_steps": ("测量间隔", "每多少步测量验证损失；小于 1 为比例；0 关闭。"),
    "save_steps": ("保存间隔", "每多少步保存检查点；小于 1 为比例；0 只在最后。"),
    "save_minutes": ("保存分钟", "至少每多少分钟保存一次；0 关闭。"),
    "save_total_limit": ("保留检查点", "保留多少个检查点；最佳的另外保留。"),
}

UNITS_ZH = {
    "tokens": "词元", "share of rows": "行的比例", "prompts": "问题", "epochs": "轮", "steps": "步", "examples": "示例",
    "batches": "批", "steps or share": "步或比例", "evaluations": "次", "threads": "线程", "minutes": "分钟", "checkpoints": "个",
}  # fmt: skip
