"""`apprentice rules`: learn, show, compare, curate and roll back; and what is in `provenance`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from cli import bulk, provenance, screen
from cli.book import DRAFT, HOME, Book, Memory, Where, changed, with_book
from cli.study import Stages, Study, learn
from environments.registry import environment as environment_of
from graphs.expel import CONCURRENCY
from memory.experience.opening import close
from memory.store import store
from models import chat
from nodes.experience import experience, installed
from state.context import Context
from state.errors import BadInput, MissingPart
from state.expel import HELD_OUT, TASKS
from state.gathering import CHUNK
from state.records import record as record_of
from state.releases import CURRENT, NONE
from state.rulebook import Difference, Rulebook, diff, parse_operations, rollback

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Learn rules from experience, and look after them.\n\n"
    "`learn` attempts tasks, drafts rules and releases those that help; `curate` changes the draft "
    "by hand, and `learn --tasks 0` tries it as it is, with `--review` after asking you about each "
    "change. `diff` compares, `rollback` goes back, `evidence` leads from a rule to the attempts "
    "that it rests on. Agents see the release in force and nothing else.",
)


@app.command("learn")
def learn_rules(
    environment: Where = HOME,
    memory: Memory = "default",
    tasks: Annotated[
        int, typer.Option(help="Training tasks; 0 judges the draft as it is.")
    ] = TASKS,
    held_out: Annotated[
        int, typer.Option(help="Held-out tasks that the candidate is tried on, at most.")
    ] = HELD_OUT,
    model: Annotated[str, typer.Option(help="provider:model, or local:NAME.")] = "local:novice",
    chunk: Annotated[
        int, typer.Option(help="Successes that the critic looks at together.")
    ] = CHUNK,
    review: Annotated[bool, typer.Option(help="Decide on each change yourself.")] = False,
    run: Annotated[
        str, typer.Option(help="The run's name; an interrupted run goes on under it.")
    ] = "",
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Tasks under way at once.")
    ] = CONCURRENCY,
    record: Annotated[
        bool, typer.Option(help="Keep the attempts in the memory, for the other techniques too.")
    ] = True,
) -> None:
    """Gather attempts, curate rules from them, and release those that help."""
    context = Context(tenant=memory, model=model, record=record and installed())
    chat(model)  # a wrong name is told before anything starts
    name = run or time.strftime("%Y%m%d-%H%M%S")
    study = Study(environment_of(environment).name, tasks, held_out, name, review, chunk)
    console = Console()
    try:
        with screen.following(console) as progress:
            heard = Stages(progress, "rules", held_out)
            ended = bulk.run(_learned(study, context, heard, progress, concurrency))
    except KeyboardInterrupt:
        console.print(
            f"Interrupted. `apprentice rules learn --run {name}`, with the same options, goes on.",
            soft_wrap=True,
        )
        raise
    counts = ended["operations"]
    console.print(
        f"{counts.applied} operations applied, {counts.rejected} rejected, "
        f"{counts.quarantined} waiting for a person."
    )
    console.print(f"[bold]{ended['outcome'].capitalize()}.[/] {escape(ended['reason'])}")


async def _learned(
    study: Study, context: Context, heard: Stages, progress: Progress, concurrency: int
) -> dict[str, Any]:
    def answer(question: Mapping[str, Any]) -> Any:
        progress.stop()
        try:
            return asked(question, progress.console)
        finally:
            progress.start()

    try:
        if context.record:
            await _remembered(context.tenant)
        async with store() as kept:
            return await learn(
                study,
                context,
                kept,
                heard=heard,
                answer=answer,
                concurrency=concurrency,
                memory=experience,
            )
    finally:
        await close()


async def _remembered(tenant: str) -> None:
    """Open the memory before anything starts, so that it is told at once if another has it."""
    try:
        await experience(tenant)
    except MissingPart as error:
        raise MissingPart(f"{error} Or learn without it: --no-record.") from error


def asked(question: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """Ask on the terminal about every change, and everything that waits."""
    if question["problem"]:
        console.print(escape(question["problem"]), style="red")
    changes: dict[str, Any] = {}
    rest = ""
    for change in question["changes"]:
        before, after = change["before"], change["after"]
        console.print(changed(change["kind"], before and before["text"], after and after["text"]))
        console.print(f"  evidence: {len(change['evidence'])} attempts", style="dim")
        changes[change["rule"]], rest = _word(console, rest)
    quarantined: dict[str, Any] = {}
    for each in question["quarantined"]:
        console.print(f"[yellow]stopped[/]  {escape(each['operation']['text'])}")
        console.print(f"  {escape(each['reason'])}", style="dim")
        word, _ = _word(console, "")
        quarantined[each["key"]] = word
    return {"changes": changes, "quarantined": quarantined}


def _word(console: Console, rest: str) -> tuple[Any, str]:
    """Ask for one word; 'all' holds for what follows too."""
    if rest:
        return rest, rest
    words = ["approve", "reject", "edit", "approve all", "reject all"]
    said = Prompt.ask("  decide", choices=words, default="approve", console=console)
    if said == "edit":
        return {"edit": Prompt.ask("  new wording", console=console)}, ""
    word, _, every = said.partition(" ")
    return word, word if every else ""


@app.command()
def show(environment: Where = HOME, memory: Memory = "default") -> None:
    """Print the released rules with their record, the draft, and what waits for a person."""

    async def read(book: Book) -> None:
        console = Console()
        current = await book.releases.current()
        showings = await book.showings.all()
        since = await book.releases.in_force_since()
        title = f"Released: {current.id[:8]}" if current else "Released: nothing"
        table = Table("", "rule", "strength", "record", title=title, title_justify="left")
        for number, rule in enumerate(current.rules if current else (), 1):
            found = record_of(showings, rule.id, since.get((rule.id, rule.text), 0.0))
            fared = f"{found.succeeded} of {found.shown}" if found.shown else "not shown yet"
            table.add_row(str(number), escape(rule.text), str(rule.strength), fared)
        console.print(table)
        draft = await book.log.load()
        drafted = Table(
            "", "rule", "strength", "id", title=f"Draft: {draft.version[:8]}", title_justify="left"
        )
        for number, rule in enumerate(draft.rules, 1):
            drafted.add_row(str(number), escape(rule.text), str(rule.strength), rule.id[:8])
        console.print(drafted)
        for each in await book.quarantine.waiting():
            console.print(f"[yellow]Waiting:[/] {escape(str(each.operation))} ({each.reason})")
        for promotion in await book.releases.promotions():
            moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(promotion.time))
            name = promotion.release[:8] or NONE
            console.print(f"{moment}  {name}  {escape(promotion.reason)}", style="dim")

    with_book(environment, memory, read)


@app.command("diff")
def compare(
    before: Annotated[
        str, typer.Argument(help="draft, current, none, a release or a version of the log.")
    ] = CURRENT,
    after: Annotated[str, typer.Argument(help="As BEFORE.")] = DRAFT,
    environment: Where = HOME,
    memory: Memory = "default",
) -> None:
    """Print how two sets of rules differ."""

    async def read(book: Book) -> None:
        old, new = await book.rules(before), await book.rules(after)
        differences = diff(Rulebook(rules=old), Rulebook(rules=new))
        console = Console()
        for each in differences:
            console.print(_difference(each))
        if not differences:
            console.print("They are the same.")

    with_book(environment, memory, read)


@app.command()
def curate(
    operations: Annotated[
        list[str],
        typer.Argument(
            help="Such as 'ADD: Mugs are in cabinets.', 'AGREE 2', 'REMOVE 3' or "
            "'EDIT 1: Look twice.'; the numbers are those of the draft."
        ),
    ],
    environment: Where = HOME,
    memory: Memory = "default",
) -> None:
    """Change the draft by hand; `rules learn --tasks 0` judges and releases it."""

    async def write(book: Book) -> None:
        parsed = [parse_operations(each) for each in operations]
        draft = await book.log.load()
        applied = await book.log.record(
            [operation for each in parsed for operation in each.operations],
            run=str(uuid4()),
            author="person",
            reason="By hand.",
            seen=draft,
        )
        console = Console()
        for each in diff(draft, applied.rulebook):
            console.print(_difference(each))
        refused = [*(no for each in parsed for no in each.rejected), *applied.rejected]
        if refused:
            listed = " ".join(f"{each.written!r}: {each.reason}" for each in refused)
            raise BadInput(f"Not everything was done. {listed}")

    with_book(environment, memory, write)


@app.command("rollback")
def roll_back(
    release: Annotated[str, typer.Argument(help="A release, or none for no rules at all.")],
    environment: Where = HOME,
    memory: Memory = "default",
) -> None:
    """Put an earlier release in force again, and make it the draft."""

    async def write(book: Book) -> None:
        earlier = await book.releases.chosen(release)
        rules = earlier.rules if earlier else ()
        name, run = earlier.id if earlier else "", str(uuid4())
        reason = f"Rolled back to {name[:8] or NONE}."
        operations = rollback(await book.log.load(), Rulebook(rules=rules))
        await book.log.record(operations, run=run, author="person", reason=reason)
        await book.releases.promote(name, run=run, author="person", reason=reason)
        Console().print(f"In force: {name[:8] or NONE}, {len(rules)} rules.")

    with_book(environment, memory, write)


def _difference(each: Difference) -> Text:
    before, after = each.before, each.after
    return changed(each.kind, before.text if before else None, after.text if after else None)


app.command()(provenance.history)
app.command()(provenance.evidence)
app.command()(provenance.withdraw)
