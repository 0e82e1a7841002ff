"""How fast a chat answers: the child behind Try it beside a plain script with transformers and PEFT, in one run.

The starter answers the sample's ten questions with an adapter, 64 tokens each at the most, both on the same device:
time to the first token, and tokens a second. Medians over the questions; the first question warms both up.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from interfaces.chats import Question, Sampling, Speaker  # noqa: E402
from interfaces.events import Stopped  # noqa: E402
from interfaces.folders import Home  # noqa: E402
from studio.chat.chats import Chats  # noqa: E402
from studio.datasets.sample import questions  # noqa: E402
from tests.support.adapters import adapter_folder  # noqa: E402
from tests.support.records import recorded_run, step  # noqa: E402

TOKENS = 64
PLAIN = """
import json, sys, time, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer
base, adapter, dtype, threads, tokens = sys.argv[1:6]
torch.set_num_threads(int(threads))
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter).eval()
class Clock(BaseStreamer):
    def __init__(self): self.times = []
    def put(self, value): self.times.append(time.perf_counter())
    def end(self): pass
for question in json.load(sys.stdin):
    ids = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    clock, begun = Clock(), time.perf_counter()
    model.generate(**ids, max_new_tokens=int(tokens), do_sample=False, streamer=clock)
    times = clock.times[1:]
    print(json.dumps([times[0] - begun, (len(times) - 1) / max(times[-1] - times[0], 1e-9)]), flush=True)
"""


def of_the_chat(home: Home, run: str, base: bool, prompts: list[str]) -> list[list[float]]:
    """Return, for each prompt, the seconds to the first token and the tokens a second of the run's answer."""
    chats = Chats(home)
    chat = chats.create([Speaker(run=run), *([Speaker(run=run, base=True)] if base else [])]).id
    found = []
    for number, prompt in enumerate(prompts, start=1):
        chats.ask(chat, Question(prompt=prompt, alone=True, sampling=Sampling(max_new_tokens=TOKENS)))
        while (state := chats.state(chat, number)).busy:
            time.sleep(0.15)  # as often as the page asks
        answers = state.turns[0].answers
        seconds = answers[0].seconds - (answers[0].first_seconds or 0)
        tokens = sum(answer.tokens for answer in answers) - len(answers)
        found.append([answers[0].first_seconds or 0, tokens / seconds])
    print(f"memory of the child: {chats.state(chat).children[0].memory_bytes / 1e6:.0f} MB")
    chats.close()
    return found


def main() -> None:
    from trainer.models.device import fastest_threads, thread_counts

    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place))
        home.models.mkdir()
        home.starter.symlink_to(Home.of(None, os.environ).starter.resolve(), target_is_directory=True)
        run = recorded_run(home, step(1), Stopped(step=1, resumable=False), model_name="starter")
        adapter_folder(run.adapter, home.starter, 1)
        prompts = [row.question for row in questions()]
        command = [sys.executable, "-c", PLAIN, str(home.starter), str(run.adapter), "bfloat16"]
        command += [str(fastest_threads(thread_counts())), str(TOKENS)]
        plain = subprocess.run(command, input=json.dumps(prompts), capture_output=True, text=True, check=True)
        ways = {
            "transformers and PEFT in a script": [json.loads(line) for line in plain.stdout.splitlines()],
            "Try it": of_the_chat(home, run.id, False, prompts),
            "Try it, with the base model beside it": of_the_chat(home, run.id, True, prompts),
        }
        for name, found in ways.items():
            first, speed = (statistics.median(column) for column in zip(*found[1:], strict=True))
            print(f"{name}: first token after {first:.2f} s, then {speed:.1f} tokens/s in all")


if __name__ == "__main__":
    main()
