"""The `apprentice` command: learn, evaluate, show, rules, adapters, memory, import, export.

Exit codes: 0 done, 1 failure, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from dotenv import load_dotenv
from rich.console import Console
from rich.progress import Progress
from typer.core import TyperGroup

from cli import (
    adapters,
    bulk,
    evaluation,
    exchange,
    exemplars,
    journal,
    practice,
    report,
    rules,
    screen,
    upkeep,
    weights,
)
from cli import learn as lessons
from cli.journal import Finished, Plan
from cli.learn import Lesson
from cli.output import cached, write_json, write_text
from cli.summary import summarise
from cli.techniques import TECHNIQUES
from state.context import Context
from state.errors import ApprenticeError, BadInput

FAILURE: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130

_METHODS = "\n\n".join(f"* `{name}`: {each.about}" for name, each in TECHNIQUES.items())
_FACE = (
    "Keys and folders are read from the environment, or from `.env`; `.env.example` lists them. "
    "Exit codes: 0 done, 1 failure, 2 bad input, 130 interrupted."
)
_EXAMPLES = (
    "For example, the real games, and then your own model on the household:\n\n"
    "    apprentice evaluate --environment alfworld --split valid_unseen --trials 12\n\n"
    "    apprentice evaluate --model openai:gpt-5-mini --max-tokens 1000 --limit 12 --cache"
)


class Sentences(TyperGroup):
    """Prints errors raised on purpose as a sentence, and ends with the code that fits."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ApprenticeError as error:
            raise typer.Exit(_complain(error)) from error


app = typer.Typer(
    cls=Sentences,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(rules.app, name="rules")
app.add_typer(upkeep.app, name="memory")
app.add_typer(adapters.app, name="adapters")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"apprentice {version('apprentice')}")
        raise typer.Exit


@app.callback(epilog=_FACE)
def apprentice(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Agents that learn on the job.

    `apprentice learn` shows it; `apprentice evaluate` measures any environment and model;
    `apprentice show` prints what an agent did; `apprentice rules` learns rules and keeps them;
    `apprentice adapters` looks after fine-tuned weights; `apprentice memory` reports what the
    memory holds and looks after it; `apprentice import` and `apprentice export` take attempts
    into it and out of it.
    """


Model = Annotated[
    str,
    typer.Option(help="provider:model, such as openai:gpt-5-mini, or local:NAME."),
]
Seed = Annotated[int, typer.Option(min=0, help="Draws the tasks and what is sampled.")]
Trials = Annotated[int, typer.Option(help="Attempts at a task, 1 to 100.")]
MaxTokens = Annotated[
    int,
    typer.Option(
        help="Tokens a turn or a reflection may have, 8 to 4096: more for a model that thinks."
    ),
]
Concurrency = Annotated[int, typer.Option(min=1, max=1024, help="Tasks under way at once.")]
Training = Annotated[
    int,
    typer.Option(min=0, max=2000, help="Training tasks that rules are learned from; 0 for none."),
]
Cache = Annotated[
    bool,
    typer.Option(help="Keep a model's answers, so that the same evaluation again costs nothing."),
]


@app.command()
def learn(
    tasks: Annotated[
        int, typer.Option(min=1, help="Tasks of each size of room; a multiple of 6 is balanced.")
    ] = 24,
    trials: Trials = 4,
    model: Model = "local:novice",
    world: Annotated[
        str, typer.Option(help="Whose conventions hold: north, south, alfworld, or w and a seed.")
    ] = "north",
    seed: Seed = 0,
    max_tokens: MaxTokens = Context.max_tokens,
    successes: Annotated[
        int,
        typer.Option(
            min=0,
            max=10_000,
            help="Solved tasks recorded as exemplars, at most; 0 leaves them out.",
        ),
    ] = exemplars.LEVELS[-1],
    training: Training = evaluation.TRAINING,
    steps: Annotated[
        int,
        typer.Option(
            min=0,
            max=100_000,
            help="Steps of a fine-tune of a local model on what was practised; 0 leaves "
            "fine-tunes out, as --successes 0 does.",
        ),
    ] = weights.STEPS,
    name: Annotated[
        str,
        typer.Option(help="The folder under runs/; an interrupted run goes on under its name."),
    ] = "",
    concurrency: Concurrency = evaluation.CONCURRENCY,
) -> None:
    """Watch an agent learn by reflecting, by example and by fine-tuning, and get a report."""
    folder = Path("runs") / (name or time.strftime("learn-%Y%m%d-%H%M%S"))
    if folder.parent != Path("runs") or folder.name in ("", ".", ".."):
        raise BadInput(f"{name!r} cannot name a folder under runs/. Use a plain name.")
    lesson = Lesson(
        folder,
        world,
        tasks,
        trials,
        model,
        seed,
        max_tokens,
        successes,
        training,
        steps,
        weights.FRESH,
    )
    console = Console()
    with lessons.opened(lesson) as journals, exemplars.opened(lesson) as levels:
        try:
            with screen.following(console) as progress:
                gate = asyncio.Semaphore(concurrency)
                results, shown, tuned = bulk.run(_lessons(lesson, journals, levels, progress, gate))
        except (KeyboardInterrupt, ApprenticeError) as error:
            kept = sum(len(each.finished) for each in (*journals.values(), *levels.values()))
            again = f"apprentice learn --name {folder.name}"
            raise _stopped(error, kept, folder, f"{again}, with the same options,") from error
    curve = exemplars.curve(shown, results[exemplars.NOTHING][exemplars.SIZE])
    arms = weights.arms(tuned, lessons.pooled(results)[exemplars.NOTHING])
    found = report.figures(lesson, results, curve, arms)
    write_text(folder / "report.html", report.html(lesson, results, found))
    write_json(folder / "report.json", report.as_json(lesson, results, found))
    console.print(screen.by_trial(f"household/{world}, small and medium, {model}", found.summaries))
    for control, gap in found.differences.items():
        console.print(f"After trial {found.trial}, against {control}: {screen.points(gap)}")
    if curve:
        console.print(screen.by_level("First attempts, by recorded successes in memory", curve))
        for control, gap in curve.differences.items():
            console.print(f"At {curve.levels[-1]}, against {control}: {screen.points(gap)}")
    if found.rules and not found.released:
        console.print(f"Learned rules: {report.UNRELEASED}")
    elif found.rules:
        console.print(f"Learned rules alone, against none: {screen.points(found.rules)}")
    if arms:
        console.print(screen.by_weights("First attempts, after fine-tunes on practice", arms))
    for way, reason in tuned.left_out.items():
        console.print(f"Not trained, {way}: {reason}", markup=False)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
    own = folder / f"{lessons.LEARNER}-{lessons.SIZES[0]}.jsonl"
    console.print(f"Attempts: apprentice show {own}", soft_wrap=True)


async def _lessons(
    lesson: Lesson,
    journals: lessons.Journals,
    levels: exemplars.Journals,
    progress: Progress,
    gate: asyncio.Semaphore,
) -> tuple[lessons.Results, exemplars.Results, weights.Results]:
    """Give the three lessons side by side; the last two share their practice."""

    async def practised() -> list[Any]:
        known = await exemplars.practice(lesson, progress, gate)
        jobs: list[Coroutine[Any, Any, Any]] = [
            exemplars.run(levels, known, progress, gate),
            weights.run(lesson, known, progress, gate),
        ]
        return await evaluation.together(jobs)

    jobs: list[Coroutine[Any, Any, Any]] = [lessons.run(journals, progress, gate), practised()]
    with weights.workshop(lesson).registry():
        first, (shown, tuned) = await evaluation.together(jobs)
    return first, shown, tuned


@app.command(
    epilog=f"{_EXAMPLES}\n\n"
    "An interrupted evaluation goes on where it stopped: repeat the command.\n\n"
    f"Techniques, and what a further attempt has that the first had not:\n\n{_METHODS}"
)
def evaluate(
    environment: Annotated[
        str,
        typer.Option(
            help="Where to act: household/WORLD/SIZE, alfworld, or one that a package provides."
        ),
    ] = "household/north/small",
    split: Annotated[
        str,
        typer.Option(
            help="Which of its tasks: train, validation or test; for alfworld train, valid_seen or "
            "valid_unseen."
        ),
    ] = "test",
    technique: Annotated[str, typer.Option(help="How to try again; listed below.")] = "reflexion",
    trials: Trials = 6,
    seed: Seed = 0,
    limit: Annotated[int, typer.Option(help="How many tasks, at most.")] = 36,
    model: Model = "local:novice",
    adapter: Annotated[str, typer.Option(help="A LoRA adapter of a local model.")] = "",
    training: Training = evaluation.TRAINING,
    temperature: Annotated[
        float | None, typer.Option(help="0 to 2; the technique's own when left out.")
    ] = None,
    max_tokens: MaxTokens = Context.max_tokens,
    window: Annotated[
        int, typer.Option(help="How many of the latest reflections are shown, 1 to 10.")
    ] = Context.window,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the figures go; the journal, with every transcript, lies beside it as "
            ".jsonl. Left out, a file under runs/ that the settings name.",
        ),
    ] = None,
    memory: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Read and keep reflections and attempts under this name. Left out, nothing is "
            "remembered.",
        ),
    ] = "",
    successes: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, help="For exemplars: solved training tasks to fill a memory with."
        ),
    ] = 0,
    reflections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For others-reflections: the evaluation whose reflections are lent out.",
        ),
    ] = None,
    cache: Cache = False,
    concurrency: Concurrency = evaluation.CONCURRENCY,
) -> None:
    """Measure one technique on tasks of one environment, with 95 % intervals."""
    plan = _plan(
        environment=environment,
        split=split,
        technique=technique,
        model=model,
        adapter=adapter,
        trials=trials,
        temperature=temperature,
        seed=seed,
        limit=limit,
        max_tokens=max_tokens,
        window=window,
        memory=memory,
        training=training,
        donors=str(reflections or ""),
        successes=successes,
    )
    donors = _donors(plan, reflections)
    name = evaluation.run_name(plan)[:12]
    path = json or Path("runs") / f"evaluate-{name}.json"
    if path.suffix == ".jsonl":
        raise BadInput(f"{path} would be the journal's own file. Name one that ends in .json.")
    console = Console()
    with cached(cache), journal.opened(path.with_suffix(".jsonl"), plan) as kept:
        before = len(kept.finished)
        try:
            with screen.following(console) as progress:
                bar = screen.Bar(progress, technique)
                gate = asyncio.Semaphore(concurrency)
                before_it = screen.Bar(progress, "practice", visible=bool(plan.successes))
                finished = bulk.run(practice.evaluated(kept, bar, before_it, gate, donors))
        except (KeyboardInterrupt, ApprenticeError) as error:
            raise _stopped(error, len(kept.finished), kept.path, "The same command") from error
    summary = summarise(finished, plan.trials)
    write_json(
        path,
        {
            "schema_version": plan.schema_version,
            "plan": plan.model_dump(),
            "summary": summary.model_dump(),
            "rows": [row.model_dump() for row in evaluation.rows(finished)],
        },
    )
    title = f"{plan.environment}, {plan.split}, {plan.model}"
    console.print(screen.by_trial(title, {technique: summary}))
    console.print(screen.by_family(summary))
    console.print(screen.cost(summary))
    if before:
        console.print(f"{before} tasks had been finished before; remove {kept.path} to start anew.")
    console.print(f"Figures: {path}. One attempt: apprentice show {path} <id>.", soft_wrap=True)


@app.command()
def show(
    file: Annotated[
        Path,
        typer.Argument(
            help="What `evaluate --json FILE` wrote, or a journal of `learn`, such as "
            "runs/NAME/reflexion-small.jsonl."
        ),
    ],
    id: Annotated[
        str, typer.Argument(help="The attempt's id, or how it begins; left out, all are listed.")
    ] = "",
) -> None:
    """Print one attempt readably: what the agent saw, did and was told."""
    _, finished = journal.read(file)
    console = Console()
    if not id:
        console.print(screen.attempts(finished))
        return
    every = [attempt for done in finished for attempt in done.attempts]
    found = [attempt for attempt in every if attempt.id.startswith(id)]
    if len(found) != 1:
        many = f"{len(found)} attempts begin" if found else "No attempt begins"
        raise BadInput(f"{many} with {id!r}. `apprentice show {file}` lists the ids.")
    console.print(screen.transcript(found[0]))


app.command("import")(exchange.import_attempts)
app.command("export")(exchange.export_attempts)


def main() -> None:
    """Run the command line, with the settings of `.env` where the environment has none."""
    load_dotenv(".env")
    app(prog_name="apprentice")


def _plan(*, technique: str, temperature: float | None, **settings: Any) -> Plan:
    """Check what was asked for, so that a wrong word is told before anything starts."""
    chosen = TECHNIQUES[evaluation.technique(technique)]
    settings["training"] *= chosen.studies
    warmth = chosen.temperature if temperature is None else temperature
    if chosen.recall:
        settings["trials"] = 1
    elif settings["successes"]:
        raise BadInput(f"The technique {technique!r} shows no exemplars: leave out --successes.")
    if settings["successes"] and settings["memory"]:
        raise BadInput("A named memory holds what was recorded in it: leave out --successes.")
    plan = evaluation.planned(technique=technique, temperature=warmth, **settings)
    if chosen.borrows and not plan.donors:
        raise BadInput(
            f"The technique {technique!r} lends out the reflections of an earlier evaluation: "
            "name its file with --reflections."
        )
    return plan


def _donors(plan: Plan, file: Path | None) -> list[Finished]:
    borrows = TECHNIQUES[evaluation.technique(plan.technique)].borrows
    return journal.read(file)[1] if file and borrows else []


def _stopped(error: BaseException, kept: int, where: Path, again: str) -> typer.Exit:
    """Say why a run ended early and how to go on; return the exit that fits."""
    interrupted = isinstance(error, KeyboardInterrupt)
    code = INTERRUPTED if interrupted else _complain(error)
    parts = ["Interrupted."] if interrupted else []
    if kept:
        parts.append(f"{kept} tasks are kept in {where}. {again} goes on from there.")
    Console(stderr=True).print(_plain(" ".join(parts)), soft_wrap=True)
    return typer.Exit(code)


def _complain(error: BaseException) -> int:
    """Print an error as a sentence; return the exit code that fits."""
    Console(stderr=True).print(f"[bold red]Error:[/] {_plain(str(error))}", soft_wrap=True)
    return BAD_INPUT if isinstance(error, BadInput) else FAILURE


def _plain(text: str) -> str:
    """Keep Rich from reading brackets in a message as its markup."""
    return text.replace("[", r"\[")
