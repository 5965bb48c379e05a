"""Train the model of a case: FILE::CASE. The same model, data, loss and optimizer that its checks
probe; the checks run first. Exit status 1 when a check is red or the loss diverges, 130 when
interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.commands import Mistake
from gradcheck.commands.common import add_plugin_folder, registry_of

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry
    from gradcheck.training.progress import Progress
    from gradcheck.training.trainer import Trainer
    from gradcheck.yamlcases.case import Case

CHECKPOINT = "checkpoint.safetensors"
CURVE = "loss.html"
LONGEST_FINAL_EVALUATION = 200
"""Batches; a validation split that has no more is evaluated whole at the end."""
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin_folder(parser)
    parser.add_argument("target", metavar="FILE::CASE")
    parser.add_argument(
        "--steps", type=_positive, help="steps to train (default: `train: steps` of the case)"
    )
    parser.add_argument(
        "--eval-every",
        type=_positive,
        help="steps between evaluations (default: `train: eval_every` of the case)",
    )
    parser.add_argument("--seed", type=int, help="seed (default: that of the case)")
    parser.add_argument("--output", type=Path, help="folder of results (default: runs/CASE)")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the checkpoint in the output folder"
    )
    parser.add_argument("--no-checkpoint", action="store_true", help="do not write a checkpoint")
    parser.add_argument("--force", action="store_true", help="train even if a check fails")
    parser.add_argument("--no-checks", action="store_true", help="do not run the checks first")
    parser.add_argument("--prompt", help="text that the final sample starts with")
    parser.add_argument("--sample", type=int, help="number of tokens in the final sample")
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        help="temperature of the final sample (default: 0.8)",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def run(arguments: argparse.Namespace) -> int:
    from gradcheck.probe.subject import SubjectError
    from gradcheck.training.checkpoint import CheckpointError

    registry = registry_of(arguments)
    case = find_case(arguments.target, registry)
    try:
        return _train(case, registry, arguments)
    except Mistake:
        raise
    except (SubjectError, CheckpointError) as error:
        raise Mistake(str(error)) from error
    except Exception as error:
        raise _explained(error, case) from error


def find_case(target: str, registry: Registry) -> Case:
    """Return the case that FILE::CASE names. Raise Mistake with the cases of the file if none."""
    from gradcheck.yamlcases.load import load_cases

    file, _, name = target.partition("::")
    path = Path(file)
    if not path.is_file():
        raise Mistake(f"{file}: file not found; name a YAML file of cases")
    loaded = load_cases(path, registry, Path.cwd())
    models = [case for case in loaded.cases if case.model is not None]
    found = [case for case in models if case.name == name]
    if found:
        return found[0]
    if loaded.errors:
        raise Mistake("\n".join(str(e) for e in loaded.errors))
    names = ", ".join(case.name for case in models) or "none"
    what = f"no case of a model called {name!r}" if name else "name one case"
    raise Mistake(f"{target}: {what}; the file's cases of models: {names}")


def _train(case: Case, registry: Registry, arguments: argparse.Namespace) -> int:
    from gradcheck.probe.from_case import CaseSubject
    from gradcheck.training import checkpoint
    from gradcheck.training.progress import Progress
    from gradcheck.training.sample import source_of
    from gradcheck.training.trainer import Diverged, Trainer
    from gradcheck.yamlcases.case import TrainSpec

    changes = {k: getattr(arguments, k) for k in ("steps", "eval_every", "sample")}
    given = {k: v for k, v in changes.items() if v is not None}
    spec = (case.train or TrainSpec()).model_copy(update=given)
    folder = arguments.output or Path("runs") / case.name
    progress = Progress(sys.stdout)
    if not arguments.no_checks and not _examined(case, registry, arguments, progress):
        return 1
    subject = CaseSubject(case, registry, seed=arguments.seed)
    trainer = Trainer(subject, spec)
    data = subject.dataset
    progress.say(f"data: {source_of(data) or type(data).__name__}")
    count = sum(a.size for a in (subject.get(n) for n in subject.parameters))
    progress.say(f"model: {case.model}, {count:,} parameters; {spec.steps} steps")
    path = folder / CHECKPOINT
    if arguments.resume:
        checkpoint.load(trainer, case, path)
        progress.say(f"resumed from {path} after {trainer.step} steps")
    elif path.exists() and not arguments.no_checkpoint:
        before = path.with_suffix(".previous.safetensors")
        path.replace(before)
        progress.say(f"the checkpoint of an earlier run is now {before}")

    def evaluated(trainer: Trainer) -> None:
        progress.evaluation(trainer)
        if not arguments.no_checkpoint and trainer.step:
            checkpoint.save(trainer, case, path)

    progress.start(trainer)
    with _interruptible() as interrupted:

        def stepped(trainer: Trainer) -> bool:
            progress.step(trainer)
            return interrupted()

        try:
            done = trainer.run(after_step=stepped, after_evaluation=evaluated)
        except Diverged as error:
            progress.say(f"diverged: {error}")
            _draw(trainer, case, folder, progress)
            return 1
    _draw(trainer, case, folder, progress)
    if not done:
        return _stopped(trainer, case, path, arguments, progress)
    _finish(trainer, arguments, progress)
    return 0


def _examined(
    case: Case, registry: Registry, arguments: argparse.Namespace, progress: Progress
) -> bool:
    """Run the checks; return whether training may begin."""
    from gradcheck.training.gate import examine

    progress.say(f"checks of {case.id}")
    verdict = examine(case, registry, seed=arguments.seed, tell=progress.say)
    if verdict.not_run:
        progress.say(
            f"  no time left for {', '.join(verdict.not_run)}; run with pytest --gradcheck"
        )
    for text in verdict.failed:
        progress.say("\n" + text)
    if not verdict.failed:
        return True
    if arguments.force:
        progress.say("\ntraining anyway because of --force")
        return True
    count = len(verdict.failed)
    progress.say(
        f"\nnot trained: {count} check{'s' if count > 1 else ''} failed; fix "
        f"{'them' if count > 1 else 'it'} first, or train anyway with --force"
    )
    return False


def _explained(error: Exception, case: Case) -> Exception:
    """A Mistake when the error comes from the case's own model or data; otherwise the error."""
    from gradcheck.engine import crash_of

    finding = crash_of(case, error)
    if finding is None:
        return error
    return Mistake("; ".join([finding.message, *finding.lines]))


@contextmanager
def _interruptible() -> Iterator[Any]:
    """Ctrl-C lets the step in progress end; a second one stops at once."""
    caught: list[int] = []

    def handle(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, before)


def _stopped(
    trainer: Trainer, case: Case, path: Path, arguments: argparse.Namespace, progress: Progress
) -> int:
    from gradcheck.training import checkpoint

    if arguments.no_checkpoint:
        progress.say(
            f"stopped after {trainer.step} steps; no checkpoint was saved (--no-checkpoint)"
        )
        return INTERRUPTED
    checkpoint.save(trainer, case, path)
    options = "".join(
        f" --{name.replace('_', '-')} {value}"
        for name in ("steps", "eval_every", "seed", "output", "sample")
        if (value := getattr(arguments, name)) is not None
    )
    progress.say(
        f"stopped after {trainer.step} steps, saved in {path}; to continue:\n"
        f"  python -m gradcheck train {arguments.target}{options} --resume"
    )
    return INTERRUPTED


def _draw(trainer: Trainer, case: Case, folder: Path, progress: Progress) -> None:
    from gradcheck.training.checkpoint import write_atomically
    from gradcheck.training.curve import curve_page

    write_atomically(folder / CURVE, curve_page(trainer.history, case).encode())
    progress.say(f"loss curve: {folder / CURVE}")


def _finish(trainer: Trainer, arguments: argparse.Namespace, progress: Progress) -> None:
    from gradcheck.training.sample import source_of, write_sample

    if trainer.has_held_out:
        loss = trainer.held_out_loss(LONGEST_FINAL_EVALUATION)
        progress.say(
            f"final validation loss {loss:.4f}, at most {LONGEST_FINAL_EVALUATION} batches"
        )
    text = write_sample(
        trainer.subject,
        trainer.spec.sample,
        prompt=arguments.prompt,
        temperature=arguments.temperature,
    )
    if text is not None:
        source = source_of(trainer.subject.dataset)
        on = f" on {source}" if source else ""
        progress.say(f"sample after {trainer.step} steps{on}:\n{text}")
