"""The `apprentice` command: learn, evaluate, show, rules, adapters, memory, import, export."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from apprentice.cli import (
    adapters,
    evaluation,
    event_loop,
    exchange,
    exemplar_memory,
    journal,
    learn,
    memory,
    rules,
    settings,
    terminal,
)
from apprentice.cli.command import App, Group
from apprentice.cli.exit_codes import CODES, Stop, exit_with, resume_hint
from apprentice.cli.journal import Plan, TaskResult
from apprentice.cli.options import (
    HOME,
    Cache,
    Concurrency,
    MaxTokens,
    Model,
    Seed,
    Training,
    Trials,
    current_workspace,
)
from apprentice.cli.output import use_answer_cache, write_json
from apprentice.cli.plural import plural
from apprentice.cli.summary import summarise
from apprentice.cli.techniques import TECHNIQUES
from apprentice.state.context import Context
from apprentice.state.errors import ApprenticeError, BadInput
from apprentice.workspace import Workspace

_METHODS = "\n\n".join(f"* `{name}`: {each.about}" for name, each in TECHNIQUES.items())
_FACE = (
    "Keys and folders come from the environment or from the file `.env`. `.env.example` lists "
    "them all.\n\n"
    f"{CODES}"
)
_EXAMPLES = (
    "Two examples, the real games and your own model in the household:\n\n"
    "    apprentice evaluate --environment alfworld --split valid_unseen --trials 12\n\n"
    "    apprentice evaluate --model openai:gpt-5-mini --max-tokens 1000 --limit 12 --cache"
)


class Sentences(Group):
    """Prints an error of the project as a sentence and returns its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except (ApprenticeError, *Stop) as error:
            raise exit_with(error) from error


app = App(
    cls=Sentences,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(rules.app, name="rules")
app.add_typer(memory.app, name="memory")
app.add_typer(adapters.app, name="adapters")


def _print_version(wanted_version: bool) -> None:
    if wanted_version:
        typer.echo(f"apprentice {version('apprentice-agents')}")
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

    Start with `apprentice learn`: it shows an agent that learns. `apprentice evaluate` measures a
    technique with any environment and model, and `apprentice show` prints one attempt.
    """


app.command("learn")(learn.learn)


@app.command(
    epilog=f"{_EXAMPLES}\n\n"
    "To continue an interrupted evaluation, repeat the command.\n\n"
    f"The techniques, and what each adds to a further attempt:\n\n{_METHODS}"
)
def evaluate(
    ctx: typer.Context,
    environment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The environment: household/WORLD/SIZE, alfworld, toolcalls, qa/NAME, chat/NAME, "
            "or one that a package provides.",
        ),
    ] = HOME,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Its tasks: train, validation or test. For alfworld: train, valid_seen or "
            "valid_unseen.",
        ),
    ] = "test",
    technique: Annotated[
        str, typer.Option(metavar="NAME", help="The technique; the list is below.")
    ] = "reflexion",
    trials: Trials = 6,
    seed: Seed = 0,
    limit: Annotated[int, typer.Option(metavar="N", help="Tasks, at most.")] = 36,
    model: Model = "",
    adapter: Annotated[
        str, typer.Option(metavar="NAME", help="A LoRA adapter of a local model.")
    ] = "",
    training: Training = evaluation.TRAINING,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="N", help="0 to 2. Default: the technique's own."),
    ] = None,
    max_tokens: MaxTokens = Context.max_tokens,
    window: Annotated[
        int,
        typer.Option(metavar="N", help="Latest reflections in the prompt, 1 to 10."),
    ] = Context.window,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file for the figures. The journal, which has every transcript, is the "
            ".jsonl file beside it. Default: a file under runs/.",
        ),
    ] = None,
    tenant: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The tenant whose reflections and attempts are read and recorded. Without it, "
            "nothing is recorded.",
        ),
    ] = "",
    exemplars: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=10_000,
            help="For techniques with exemplars: solved training tasks to record first.",
        ),
    ] = 0,
    reflections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For others-reflections: the figures of the evaluation that lends its "
            "reflections.",
        ),
    ] = None,
    cache: Cache = False,
    concurrency: Concurrency = evaluation.CONCURRENCY,
) -> None:
    """Measure one technique in one environment, with 95 % intervals."""
    workspace = current_workspace(ctx)
    plan = _plan(
        workspace,
        environment=environment,
        split=split,
        technique=technique,
        model=model or workspace.model,
        adapter=adapter,
        trials=trials,
        temperature=temperature,
        seed=seed,
        limit=limit,
        max_tokens=max_tokens,
        window=window,
        tenant=tenant,
        training=training,
        donors=str(reflections or ""),
        exemplars=exemplars,
    )
    donors = _donors(plan, reflections)
    name = evaluation.run_name(plan)[:12]
    path = json or Path("runs") / f"evaluate-{name}.json"
    if path.suffix == ".jsonl":
        raise BadInput(
            f"{path} is the name of a journal. Name a file for the figures that ends in .json."
        )
    console = Console()
    with (
        use_answer_cache(workspace.data if cache else None),
        journal.open_journal(path.with_suffix(".jsonl"), plan) as record,
    ):
        earlier_count = len(record.results)
        try:
            with terminal.live_progress(console) as progress:
                bar = terminal.Bar(progress, technique)
                slots = asyncio.Semaphore(concurrency)
                practice_bar = terminal.Bar(progress, "practice", visible=bool(plan.exemplars))
                results = event_loop.run(
                    exemplar_memory.evaluate_with_exemplars(
                        workspace, record, bar, practice_bar, slots, donors
                    )
                )
        except (ApprenticeError, *Stop) as error:
            raise exit_with(error, resume_hint(len(record.results), record.path)) from error
    summary = summarise(results, plan.trials)
    write_json(
        path,
        {
            "schema_version": plan.schema_version,
            "plan": plan.model_dump(),
            "summary": summary.model_dump(),
            "rows": [row.model_dump() for row in evaluation.rows(results, workspace)],
        },
    )
    title = f"{plan.environment}, {plan.split}, {plan.model}"
    console.print(terminal.by_trial(title, {technique: summary}))
    console.print(terminal.by_family(summary))
    console.print(terminal.cost(summary))
    if earlier_count:
        console.print(
            f"Finished before: {plural(earlier_count, 'task')}. "
            f"Remove {record.path} to start anew.",
            soft_wrap=True,
        )
    console.print(f"Figures: {path}. To read an attempt: apprentice show {path} ID", soft_wrap=True)


@app.command()
def show(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="The file of `evaluate --json FILE`, or a journal of `learn`, such as "
            "runs/NAME/reflexion-small.jsonl."
        ),
    ],
    id: Annotated[
        str, typer.Argument(help="The attempt's id, or its beginning. Without it, all are listed.")
    ] = "",
) -> None:
    """Print one attempt: what the agent saw, what it did, and the verdict."""
    _, results = journal.read(file)
    console = Console()
    if not id:
        console.print(terminal.attempts(results, current_workspace(ctx)))
        return
    attempts = [attempt for result in results for attempt in result.attempts]
    matches = [attempt for attempt in attempts if attempt.id.startswith(id)]
    if len(matches) != 1:
        many = f"{len(matches)} attempts begin" if matches else "No attempt's id begins"
        raise BadInput(f"{many} with {id!r}. `apprentice show {file}` lists the ids.")
    console.print(terminal.transcript(matches[0]))


app.command("import")(exchange.import_attempts)
app.command("export")(exchange.export_attempts)
app.command("settings")(settings.settings)


def main() -> None:
    """Run the command line."""
    app(prog_name="apprentice")


def _plan(
    workspace: Workspace, *, technique: str, temperature: float | None, **settings: Any
) -> Plan:
    """Check the options, so that a wrong one is an error before anything starts."""
    spec = TECHNIQUES[evaluation.technique(technique)]
    settings["training"] *= spec.learns_rules
    warmth = spec.temperature if temperature is None else temperature
    if spec.recall:
        settings["trials"] = 1
    elif settings["exemplars"]:
        raise BadInput(f"The technique {technique!r} shows no exemplars: leave out --exemplars.")
    if settings["exemplars"] and settings["tenant"]:
        raise BadInput(
            "A tenant's exemplars are its recorded attempts: leave out --exemplars or --tenant."
        )
    plan = evaluation.checked_plan(workspace, technique=technique, temperature=warmth, **settings)
    if spec.borrows and not plan.donors:
        raise BadInput(
            f"The technique {technique!r} uses the reflections of an earlier evaluation: "
            "name its file with --reflections."
        )
    return plan


def _donors(plan: Plan, file: Path | None) -> list[TaskResult]:
    borrows = TECHNIQUES[evaluation.technique(plan.technique)].borrows
    return journal.read(file)[1] if file and borrows else []
