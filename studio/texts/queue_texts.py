"""What the pages say of the queue and of failed runs, in both languages."""

from __future__ import annotations

QUEUE_TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "queue": "Queue", "queue_number": "Number", "device_column": "Device", "queue_pause": "Pause the queue", "queue_go_on": "Let the queue go on",
        "queue_paused": "Paused: nothing more is started.", "queue_running": "{run} has {device}; the next one starts by itself, with or without this studio.",
        "queue_free": "The next one starts by itself.", "queue_up": "Up", "queue_down": "Down", "queue_leave": "Leave the queue", "queue_left": "{name} has left the queue.",
        "queue_moved": "{name} is number {position}.", "queue_place": "Number {position} of {count} in the queue. {reason}", "queue_behind": "{run} has {device}.",
        "begin": "Start", "try_again": "Try again with {changes}", "evidence": "What the log says last", "notify_me": "Tell me when it is done", "at_step": "Step {step}:", "on_the_way": "{count} answers on the way",
    },
    "zh": {
        "queue": "队列", "queue_number": "序号", "device_column": "设备", "queue_pause": "暂停队列", "queue_go_on": "继续队列",
        "queue_paused": "已暂停：不再启动新的训练。", "queue_running": "{run} 正在使用 {device}；下一个会自动开始，无论 Studio 是否打开。",
        "queue_free": "下一个会自动开始。", "queue_up": "上移", "queue_down": "下移", "queue_leave": "离开队列", "queue_left": "{name} 已离开队列。",
        "queue_moved": "{name} 现在是第 {position} 个。", "queue_place": "队列中第 {position} 个，共 {count} 个。{reason}", "queue_behind": "{run} 正在使用 {device}。",
        "begin": "开始", "try_again": "改用 {changes} 再试", "evidence": "日志的最后几行", "notify_me": "完成时通知我", "at_step": "第 {step} 步：", "on_the_way": "训练途中的 {count} 个回答",
    },
}  # fmt: skip
