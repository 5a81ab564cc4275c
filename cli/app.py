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
from apprentice.cli.exit_codes import CODES, Stop, ended, going_on
from apprentice.cli.journal import Finished, Plan
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
from apprentice.cli.output import cached, write_json
from apprentice.cli.plural import counted
from apprentice.cli.summary import summarise
from apprentice.cli.techniques import TECHNIQUES
from apprentice.state.context import Context
from apprentice.state.errors import ApprenticeError, BadInput
from apprentice.workspace import Workspace

_METHODS = "\n\n".join(f"* `{name}`: {each.about}" for name, each in TECHNIQUES.items())
_FACE = (
    "Keys and folders are read from the environment, or from `.env`; `.env.example` lists them.\n\n"
    f"{CODES}"
)
_EXAMPLES = (
    "For example, the real games, and then your own model on the household:\n\n"
    "    apprentice evaluate --environment alfworld --split valid_unseen --trials 12\n\n"
    "    apprentice evaluate --model openai:gpt-5-mini --max-tokens 1000 --limit 12 --cache"
)


class Sentences(Group):
    """Prints errors raised on purpose as a sentence, and ends with the code that fits."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (ApprenticeError, *Stop) as error:
            raise ended(error) from error


app = App(
    cls=Sentences,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(rules.app, name="rules")
app.add_typer(memory.app, name="memory")
app.add_typer(adapters.app, name="adapters")


def _print_version(asked: bool) -> None:
    if asked:
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

    `apprentice learn` shows it; `apprentice evaluate` measures any environment and model;
    `apprentice show` prints what an agent did; `apprentice rules` learns rules and keeps them;
    `apprentice adapters` looks after fine-tuned weights; `apprentice memory` reports what the
    memory holds and looks after it; `apprentice import` and `apprentice export` take attempts
    into it and out of it; `apprentice settings` prints what holds in this deployment.
    """


app.command("learn")(learn.learn)


@app.command(
    epilog=f"{_EXAMPLES}\n\n"
    "An interrupted evaluation goes on where it stopped: repeat the command.\n\n"
    f"Techniques, and what a further attempt has that the first had not:\n\n{_METHODS}"
)
def evaluate(
    ctx: typer.Context,
    environment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where to act: household/WORLD/SIZE, alfworld, toolcalls, qa/NAME, chat/NAME, or "
            "one that a package provides.",
        ),
    ] = HOME,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Which of its tasks: train, validation or test; for alfworld train, valid_seen or "
            "valid_unseen.",
        ),
    ] = "test",
    technique: Annotated[
        str, typer.Option(metavar="NAME", help="How to try again; listed below.")
    ] = "reflexion",
    trials: Trials = 6,
    seed: Seed = 0,
    limit: Annotated[int, typer.Option(metavar="N", help="How many tasks, at most.")] = 36,
    model: Model = "",
    adapter: Annotated[
        str, typer.Option(metavar="NAME", help="A LoRA adapter of a local model.")
    ] = "",
    training: Training = evaluation.TRAINING,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="N", help="0 to 2; the technique's own when left out."),
    ] = None,
    max_tokens: MaxTokens = Context.max_tokens,
    window: Annotated[
        int,
        typer.Option(metavar="N", help="How many of the latest reflections are shown, 1 to 10."),
    ] = Context.window,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the figures go; the journal, with every transcript, lies beside it as "
            ".jsonl. Left out, a file under runs/ that the settings name.",
        ),
    ] = None,
    tenant: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose reflections and attempts are read and recorded. Left out, nothing is "
            "recorded.",
        ),
    ] = "",
    successes: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=10_000,
            help="For exemplars: solved training tasks to fill a memory with.",
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
        successes=successes,
    )
    donors = _donors(plan, reflections)
    name = evaluation.run_name(plan)[:12]
    path = json or Path("runs") / f"evaluate-{name}.json"
    if path.suffix == ".jsonl":
        raise BadInput(f"{path} would be the journal's own file. Name one that ends in .json.")
    console = Console()
    with (
        cached(workspace.data if cache else None),
        journal.opened(path.with_suffix(".jsonl"), plan) as kept,
    ):
        before = len(kept.finished)
        try:
            with terminal.following(console) as progress:
                bar = terminal.Bar(progress, technique)
                gate = asyncio.Semaphore(concurrency)
                before_it = terminal.Bar(progress, "practice", visible=bool(plan.successes))
                finished = event_loop.run(
                    exemplar_memory.evaluated(workspace, kept, bar, before_it, gate, donors)
                )
        except (ApprenticeError, *Stop) as error:
            raise ended(error, going_on(len(kept.finished), kept.path)) from error
    summary = summarise(finished, plan.trials)
    write_json(
        path,
        {
            "schema_version": plan.schema_version,
            "plan": plan.model_dump(),
            "summary": summary.model_dump(),
            "rows": [row.model_dump() for row in evaluation.rows(finished, workspace)],
        },
    )
    title = f"{plan.environment}, {plan.split}, {plan.model}"
    console.print(terminal.by_trial(title, {technique: summary}))
    console.print(terminal.by_family(summary))
    console.print(terminal.cost(summary))
    if before:
        console.print(
            f"Finished before: {counted(before, 'task')}. Remove {kept.path} to start anew.",
            soft_wrap=True,
        )
    console.print(f"Figures: {path}. One attempt: apprentice show {path} ID", soft_wrap=True)


@app.command()
def show(
    ctx: typer.Context,
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
        console.print(terminal.attempts(finished, current_workspace(ctx)))
        return
    every = [attempt for done in finished for attempt in done.attempts]
    found = [attempt for attempt in every if attempt.id.startswith(id)]
    if len(found) != 1:
        many = f"{len(found)} attempts begin" if found else "No attempt's id begins"
        raise BadInput(f"{many} with {id!r}. `apprentice show {file}` lists the ids.")
    console.print(terminal.transcript(found[0]))


app.command("import")(exchange.import_attempts)
app.command("export")(exchange.export_attempts)
app.command("settings")(settings.settings)


def main() -> None:
    """Run the command line."""
    app(prog_name="apprentice")


def _plan(
    workspace: Workspace, *, technique: str, temperature: float | None, **settings: Any
) -> Plan:
    """Check what was asked for, so that a wrong word is told before anything starts."""
    chosen = TECHNIQUES[evaluation.technique(technique)]
    settings["training"] *= chosen.studies
    warmth = chosen.temperature if temperature is None else temperature
    if chosen.recall:
        settings["trials"] = 1
    elif settings["successes"]:
        raise BadInput(f"The technique {technique!r} shows no exemplars: leave out --successes.")
    if settings["successes"] and settings["tenant"]:
        raise BadInput(
            "A tenant's exemplars are what was recorded for it: leave out --successes, or --tenant."
        )
    plan = evaluation.planned(workspace, technique=technique, temperature=warmth, **settings)
    if chosen.borrows and not plan.donors:
        raise BadInput(
            f"The technique {technique!r} lends out the reflections of an earlier evaluation: "
            "name its file with --reflections."
        )
    return plan


def _donors(plan: Plan, file: Path | None) -> list[Finished]:
    borrows = TECHNIQUES[evaluation.technique(plan.technique)].borrows
    return journal.read(file)[1] if file and borrows else []
