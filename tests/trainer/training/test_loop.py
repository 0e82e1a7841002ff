import functools
import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home
from tests.conftest import ROOT
from tests.support.loops import adapted, arguments, rows_of_tokens

pytestmark = pytest.mark.tiny


def test_the_names_that_are_overridden_still_exist_in_the_library() -> None:
    from transformers import Trainer

    from trainer.training.loop import TrainingLoop

    overridden = {"training_step", "evaluate", "save_model", "_load_from_checkpoint"}
    assert overridden <= set(vars(TrainingLoop))
    assert overridden <= set(vars(Trainer))


def test_evaluation_is_token_weighted_without_side_effects(home: Home, tiny_config: dict[str, Any]) -> None:
    from interfaces.events import Evaluated, Step, read_events
    from trainer.lora_trainer import LoRATrainer

    config = {**tiny_config, "validation_split": 0.4, "lora": {"lora_dropout": 0.2}}
    reported = {}
    for name, more in {
        "often": {"eval_steps": 1},
        "never": {},
        "unmoved": {"eval_steps": 1, "learning_rate": 1e-12},
        "unmoved, one by one": {"eval_steps": 1, "learning_rate": 1e-12, "per_device_train_batch_size": 1},
    }.items():
        folder = home.create_run()
        LoRATrainer(folder).train({**config, **more})
        reported[name] = read_events(folder.events)
    steps = {name: [event.loss for event in events if isinstance(event, Step)] for name, events in reported.items()}
    assert steps["often"] == steps["never"]
    # At such a rate the same model is evaluated, in batches of 2 and of 1.
    first = {
        name: next((e.loss for e in events if isinstance(e, Evaluated)), None) for name, events in reported.items()
    }
    assert first["unmoved"] == pytest.approx(first["unmoved, one by one"], rel=1e-5)


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"])
@pytest.mark.parametrize(("warmup", "steps"), [(0, 12), (3, 12), (0.3, 12), (0.03, 12), (0.03, 1), (12, 12)])
def test_warmup_has_no_zero_rate_step(tiny_model: Path, tmp_path: Path, kind: str, warmup: float, steps: int) -> None:
    import torch
    from transformers import Trainer

    from trainer.training.loop import TrainingLoop

    def rates(trainer_class: Any) -> list[float]:
        args = arguments(tmp_path, warmup_steps=warmup, lr_scheduler_type=kind, learning_rate=1.0)
        trainer = trainer_class(model=torch.nn.Linear(1, 1), args=args)
        trainer.create_optimizer()
        scheduler, seen = trainer.create_scheduler(steps), []
        for _ in range(steps):
            seen.append(trainer.optimizer.param_groups[0]["lr"])
            trainer.optimizer.step()
            scheduler.step()
        return seen

    ours = rates(TrainingLoop)
    whole = int(warmup) if warmup >= 1 else math.ceil(warmup * steps) if warmup * steps >= 1 else 0
    if kind == "constant":
        whole = 0
    assert ours[:whole] == pytest.approx([(step + 1) / whole for step in range(whole)])
    if whole < steps and (whole or not 0 < warmup < 1):
        assert ours[whole:] == pytest.approx(rates(Trainer)[whole:])
    assert min(ours) > 0


def losses_of(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.fixture(scope="module")
def padded_losses(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """What the library's own Trainer learns in 32 bits from padded batches of the same rows in the same order."""
    import torch
    from transformers import Trainer

    from trainer.tokens.batches import padded_batch

    torch.set_num_threads(1)
    _, wrap = adapted(tiny_model, torch.float32)
    return losses_of(
        Trainer(
            model=wrap(), args=arguments(tmp_path_factory.mktemp("out")), train_dataset=rows_of_tokens(),
            data_collator=functools.partial(padded_batch, pad_token_id=0),
        )
    )  # fmt: skip


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 2e-2)])
def test_thirty_steps_learn_what_the_plain_trainer_learns(
    tiny_model: Path, tmp_path: Path, padded_losses: list[float], dtype: str, tolerance: float
) -> None:
    import torch

    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.kernels.lora_linear import use_lora_linear
    from trainer.tokens.batches import flat_batch
    from trainer.training.loop import TrainingLoop

    torch.set_num_threads(1)
    base, wrap = adapted(tiny_model, getattr(torch, dtype))
    assert use_fast_paths(base, "tiny").batches == "flat"
    model = wrap()
    use_lora_linear(model)
    seen = losses_of(
        TrainingLoop(model=model, args=arguments(tmp_path), train_dataset=rows_of_tokens(), data_collator=flat_batch)
    )
    assert len(seen) == 30
    assert seen[-1] < 0.98 * seen[0]
    assert seen == pytest.approx(padded_losses, rel=tolerance)


def test_b_matrices_have_a_rate_of_their_own(tiny_model: Path, tmp_path: Path) -> None:
    """LoRA+, as PEFT's own optimizer makes it; warm-up and decay scale both rates alike."""
    import torch
    from peft.optimizers import create_loraplus_optimizer

    from trainer.training.loop import TrainingLoop

    _, wrap = adapted(tiny_model, torch.float32)
    model = wrap()
    loop = TrainingLoop(
        model=model, args=arguments(tmp_path, learning_rate=1e-3, warmup_steps=2), loraplus_lr_ratio=16.0
    )
    optimizer = loop.create_optimizer()
    loop.create_scheduler(10)

    def rates(groups: Any) -> dict[int, float]:
        return {id(one): group["lr"] for group in groups for one in group["params"]}

    theirs = rates(create_loraplus_optimizer(model, torch.optim.AdamW, lr=2e-3, loraplus_lr_ratio=16.0).param_groups)
    now = rates(optimizer.param_groups)
    assert len(now) == sum(one.requires_grad for one in model.parameters())
    assert now == pytest.approx(
        {one: rate / 4 for one, rate in theirs.items()}
    )  # half of 1e-3 in the first of two steps


RANK = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.support.loops import adapted, arguments, rows_of_tokens
from trainer.tokens.batches import flat_batch
from trainer.kernels.fast_paths import use_fast_paths
from trainer.training.loop import TrainingLoop
from trainer.kernels.lora_linear import use_lora_linear

torch.set_num_threads(1)
base, wrap = adapted(Path(sys.argv[1]), torch.float32)
use_fast_paths(base, "tiny")
model = wrap()
use_lora_linear(model)
seen = {}

class Watched(TrainingLoop):
    def create_optimizer(self):
        made = super().create_optimizer()
        made.register_step_pre_hook(lambda *_: seen or seen.update(
            {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}))
        return made

args = arguments(Path(sys.argv[2]), **eval(sys.argv[4]))
Watched(model=model, args=args, train_dataset=rows_of_tokens(), data_collator=flat_batch).train()
torch.save(seen, Path(sys.argv[2]) / f"gradients-{args.process_index}.pt")
"""


def test_two_ranks_have_the_gradients_of_one(tiny_model: Path, tmp_path: Path) -> None:
    """Per token, not per rank: the ranks' batches hold different numbers of learned tokens."""
    import torch

    def start(rank: int, world: int, port: int, more: str) -> subprocess.Popen[bytes]:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
        environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", **{key: str(value) for key, value in place.items()}}
        command = [sys.executable, "-c", RANK, str(tiny_model), str(tmp_path / f"of-{world}"), str(ROOT), more]
        return subprocess.Popen(command, env=environment if world > 1 else None, cwd=tmp_path)

    for world in (1, 2):
        (tmp_path / f"of-{world}").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # One process gathers four batches of 2, or two processes two batches of 2 each: the same eight rows.
    children = [start(0, 1, 0, "{'gradient_accumulation_steps': 4, 'max_steps': 1}")]
    children += [start(rank, 2, port, "{'ddp_backend': 'gloo', 'max_steps': 1}") for rank in (0, 1)]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    first, second = (torch.load(tmp_path / "of-2" / f"gradients-{rank}.pt") for rank in (0, 1))
    alone = torch.load(tmp_path / "of-1" / "gradients-0.pt")
    assert first.keys() == second.keys() == alone.keys()
    assert len(first) > 4
    for name, gradient in first.items():
        assert torch.equal(gradient, second[name]), name
        assert float((gradient - alone[name]).norm()) <= 1e-4 * float(alone[name].norm()), name


def test_embedding_noise_equals_separate_rows(tiny_model: Path, tmp_path: Path) -> None:
    """NEFTune divides by the root of a row's length (arXiv:2310.05914): four sequences in a row are not one long one."""
    import torch

    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.tokens.batches import flat_batch
    from trainer.training.loop import TrainingLoop

    base, wrap = adapted(tiny_model, torch.float32)
    use_fast_paths(base, "tiny")
    seen: list[float] = []

    def watch(_module: Any, inputs: tuple[Any, ...]) -> None:
        seen.append(float((inputs[0] - base.get_input_embeddings().weight[list(range(1, 21)) * 4]).abs().max()))

    base.model.layers[0].register_forward_pre_hook(watch)
    rows = [{"input_ids": list(range(1, 21)), "labels": list(range(1, 21))}] * 4
    args = arguments(tmp_path, max_steps=1, gradient_accumulation_steps=1, neftune_noise_alpha=5.0)
    args.per_device_train_batch_size = 4
    TrainingLoop(model=wrap(), args=args, train_dataset=rows, data_collator=flat_batch).train()
    assert seen == [pytest.approx(5 / (20 * 64) ** 0.5, rel=0.01)]
