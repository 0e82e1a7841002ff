"""`finetune export`: the result as files for other programs, with a proof that it is the same model there."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from studio.cli.console import (
    DetachOption,
    HomeOption,
    JsonOption,
    RunArgument,
    expanded,
    home_of,
    open_console,
)

if TYPE_CHECKING:
    from rich.console import Console

    from interfaces.exports import ExportRecord, Proof
    from interfaces.job_folders import ExportFolder

export_commands = typer.Typer()


@export_commands.command()
def export(
    run: RunArgument, home: HomeOption = None, as_json: JsonOption = False, detach: DetachOption = False,
    to: Annotated[str, typer.Option("--to", help="adapter, merged (a model of its own for transformers and vLLM), gguf (for llama.cpp and LM Studio) or ollama (a folder with a Modelfile). Default: adapter, or merged if all weights were trained.")] = "",
    quantization: Annotated[str, typer.Option("--quantization", metavar="FORMAT", help="merged: f16, bf16 or f32. gguf, ollama: also q8_0, q6_k, q5_k_m, q4_k_m or q4_0.")] = "",
    checkpoint: Annotated[int | None, typer.Option("--checkpoint", metavar="STEP", min=0, help="Export the result of this checkpoint.")] = None,
    out: Annotated[str, typer.Option("--out", metavar="PATH", help="Where to write it; an existing folder gets it under a name of its own. Default: the export's folder in the run's.", callback=expanded)] = "",
    proof: Annotated[bool, typer.Option("--proof/--no-proof", help="Load what was exported, and compare its answers to 20 prompts.")] = True,
    push: Annotated[str, typer.Option("--push", metavar="OWNER/NAME", help="Also push it, with a card, to this repository of the Hub, which is private unless --public is given.")] = "",
    public: Annotated[bool, typer.Option("--public", help="With --push: everyone may see the repository.")] = False,
    resume: Annotated[int | None, typer.Option("--resume", metavar="NUMBER", help="Continue this export, or show what is known of it.")] = None,
) -> None:  # fmt: skip
    """Export a run's result as an adapter, a model, a GGUF file, or a folder for Ollama. An export waits in the queue and can be stopped and resumed."""
    from interfaces.errors import FineTuneError
    from interfaces.exports import EXPORT_KINDS, ExportRequest, Quantization
    from interfaces.problems import Code
    from studio.cli.job_progress import run_job
    from studio.exports.exports import create, delete, kinds_of, named_export, state_of, submit
    from studio.runs.state import RunState, find_run

    folder = find_run(home_of(home), run)
    console = open_console(stderr=True)  # so that the first line of the output is where the files are
    if resume is not None:
        if (to, quantization, checkpoint, out, proof, push, public) != ("", "", None, "", True, "", False):
            raise FineTuneError.of(Code.VALUE_INVALID, field="--resume", value=str(resume), expected="without_settings")
        job = named_export(folder, resume)
    else:
        for field, value, known in (
            ("--to", to := to or next(iter(kinds_of(folder))), EXPORT_KINDS),
            ("--quantization", quantization or None, (*get_args(Quantization), None)),
        ):
            if value not in known:
                shown = ", ".join(str(one) for one in known if one)
                raise FineTuneError.of(
                    Code.VALUE_INVALID, field=field, value=repr(value), expected="one_of", known=shown
                )
        request = {
            "kind": to,
            "quantization": quantization or None,
            "step": checkpoint,
            "out": out,
            "proof": proof,
            "push": push,
            "public": public,
        }
        job = create(folder, ExportRequest.model_validate(request))
    gone = (lambda: delete(job)) if resume is None else None
    if state_of(job).state is not RunState.FINISHED and not run_job(
        job, lambda: submit(job), gone, console, detach=detach, as_json=as_json
    ):
        return
    sys.exit(_tell(job, console, as_json))


def _tell(job: ExportFolder, console: Console, as_json: bool) -> int:
    """Print where the files are and what the proof says, and return the exit code."""
    from rich.markup import escape

    from interfaces.problems import BROKEN_RUN
    from interfaces.texts import sentence
    from studio.exports.exports import state_of
    from studio.runs.state import RunState

    now = state_of(job)
    if now.problem is not None:
        console.print(f"[red]Failed.[/] {escape(sentence(now.problem))}")
        return 1 if now.problem.code in BROKEN_RUN else 2
    if as_json:
        record = now.record.model_dump(mode="json") if now.record else {}
        print(json.dumps({"export": job.id, "state": now.state, **record}, ensure_ascii=False))
    elif now.record is not None:
        _print_record(now.record)
    if now.record is not None and not now.there:
        console.print("[red]These files are no longer there.[/]")
        return 2
    if now.state is not RunState.FINISHED:
        word = "Stopped" if now.state is RunState.STOPPED else "Interrupted"
        console.print(f"{word}. 'finetune export {job.run.id} --resume {job.number}' continues it.")
        return 1
    proof = now.record.proof if now.record else None
    return 1 if proof is not None and proof.passed is False else 0


def _print_record(record: ExportRecord) -> None:
    from interfaces.texts import size, texts

    print(record.path)
    formats = ", ".join(f"{count} tensors in {name}" for name, count in record.number_formats.items())
    print(f"  {size(record.bytes)}" + (f": {formats}" if formats else ""))
    if record.substituted:
        print(f"  {record.substituted} tensors are in another type, because their rows don't divide into its blocks.")
    if record.has_template is False:
        print(f"  {texts('page')['ollama_no_template']}")
    if record.proof is not None:
        _print_proof(record.proof)
    elif record.unproven:
        print(f"  Not proven: {texts('reason')[record.unproven]}.")
    if record.pushed:
        print(f"  {record.pushed}")


def _print_proof(proof: Proof) -> None:
    exported, control = proof.exported, proof.control
    count = len(exported.rows)
    words = {True: "Proven", False: "Not the same", None: "Compared"}[proof.passed]
    print(
        f"  {words}: the first {proof.tokens} tokens of {exported.equal} of {count} answers are those of the merged model in fp32."
    )
    for row in exported.rows:
        if row.differs_at is not None:
            margin = "" if row.margin is None else f", where the first choice led by {row.margin:.3f}"
            print(f"    {row.prompt[:60]!r} differs from token {row.differs_at + 1} on{margin}")
    print(f"  Control: the run itself in {control.number_format}: {control.equal} of {len(control.rows)}.")
