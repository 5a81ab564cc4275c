"""`apprentice rules`: learn, show, compare, curate and roll back; and what is in `provenance`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from apprentice.cli import event_loop, provenance, terminal
from apprentice.cli.command import App
from apprentice.cli.exit_codes import Stop, exit_with
from apprentice.cli.expel_run import ExpelRun, Question, Stages, run_expel
from apprentice.cli.options import HOME, Concurrency, Model, Tenant, current_workspace
from apprentice.cli.plural import plural
from apprentice.cli.tenant_rules import (
    DRAFT,
    SETS,
    TenantRules,
    Where,
    render_change,
    with_rules,
)
from apprentice.graphs.expel import CONCURRENCY
from apprentice.memory.experience.opening import installed
from apprentice.state.context import Context
from apprentice.state.critique import CHUNK
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.expel import HELD_OUT, TASKS
from apprentice.state.records import record as record_of
from apprentice.state.releases import CURRENT, NONE
from apprentice.state.rulebook import Difference, Rule, Rulebook, diff, parse_operations
from apprentice.workspace import Workspace

STRENGTH: Final = (
    "Strength: a new rule has 2, whatever confirms or rewords it adds 1, whatever speaks against "
    "it takes 1, and at 0 it is retired."
)
RECORD: Final = "Record: attempts that succeeded, of those that were shown the rule."
EVIDENCE: Final = (
    "Evidence of 40 to 1: rules that bring nothing would look as good in at most 1 of 40 trials."
)

app = App(
    help="Learn rules from experience, and look after them.\n\n"
    "`learn` attempts tasks, drafts rules and releases those that help; `curate` changes the draft "
    "by hand, and `learn --tasks 0` tries it as it is, with `--review` after asking you about each "
    "change. `diff` compares, `rollback` goes back, `evidence` leads from a rule to the attempts "
    "that it rests on. Agents see the release in force and nothing else.",
)


@app.command("learn")
def learn_rules(
    ctx: typer.Context,
    environment: Where = HOME,
    tenant: Tenant = "default",
    tasks: Annotated[
        int, typer.Option(metavar="N", help="Training tasks; 0 judges the draft as it is.")
    ] = TASKS,
    held_out: Annotated[
        int,
        typer.Option(metavar="N", help="Held-out tasks that the candidate is tried on, at most."),
    ] = HELD_OUT,
    model: Model = "",
    chunk: Annotated[
        int, typer.Option(metavar="N", help="Successes that the critic looks at together.")
    ] = CHUNK,
    review: Annotated[
        bool, typer.Option("--review", help="Decide on each change yourself; needs a terminal.")
    ] = False,
    run: Annotated[
        str,
        typer.Option(metavar="NAME", help="The run's name; an interrupted run goes on under it."),
    ] = "",
    concurrency: Concurrency = CONCURRENCY,
    record: Annotated[
        bool,
        typer.Option(
            "--record/--no-record",
            help="Keep the attempts in the memory, for the other techniques too.",
        ),
    ] = True,
) -> None:
    """Gather attempts, curate rules from them, and release those that help.

    Without `--review` nobody is asked: what is clean is tried and released, and what the screening
    stops waits for a person, in no prompt until then.
    """
    if review and not terminal.at_terminal():
        raise BadInput(
            "--review asks about each change on a terminal, and there is none. Leave it out, and "
            "what is clean is tried and released; `apprentice rules show` lists what waits. Or "
            "review in LangGraph Studio (`make serve`), in the graph `expel`."
        )
    workspace = current_workspace(ctx)
    model_name = workspace.check_model(model)
    context = Context(tenant=tenant, model=model_name, record=record and installed())
    name = run or time.strftime("%Y%m%d-%H%M%S")
    expel_run = ExpelRun(
        workspace.environment(environment).name, tasks, held_out, name, review, chunk
    )
    console = Console()
    try:
        outcome = _run_to_end(workspace, expel_run, context, console, concurrency)
    except Stop as error:
        again = f"`apprentice rules learn --run {name}`, with the same options, goes on."
        raise exit_with(error, again) from error
    counts = outcome["operations"]
    console.print(
        f"{plural(counts.applied, 'operation')} applied, {counts.rejected} rejected, "
        f"{counts.quarantined} waiting for a person."
    )
    console.print(f"[bold]{outcome['outcome'].capitalize()}.[/] {escape(outcome['reason'])}")
    if outcome["validation"]:
        console.print(EVIDENCE, style="dim")


def _run_to_end(
    workspace: Workspace, expel_run: ExpelRun, context: Context, console: Console, concurrency: int
) -> dict[str, Any]:
    """Run a study to its end, and ask the person at the terminal whenever it waits for one."""
    reply: object = None
    with terminal.live_progress(console) as progress:
        stages = Stages(progress, "rules", expel_run.held_out)
        while True:
            outcome = event_loop.run(
                _run_once(workspace, expel_run, context, stages, reply, concurrency)
            )
            if not isinstance(outcome, Question):
                return outcome
            progress.stop()
            reply = ask_person(outcome.content, console)
            progress.start()


async def _run_once(
    workspace: Workspace,
    expel_run: ExpelRun,
    context: Context,
    stages: Stages,
    reply: object,
    concurrency: int,
) -> dict[str, Any] | Question:
    try:
        if context.record:
            await _open_memory(workspace, context.tenant)
        async with workspace.store() as store:
            return await run_expel(
                workspace,
                expel_run,
                context,
                store,
                listener=stages,
                reply=reply,
                concurrency=concurrency,
                record_to=workspace.experience,
            )
    finally:
        await workspace.close()


async def _open_memory(workspace: Workspace, tenant: str) -> None:
    """Open the memory before anything starts, so that it is told at once if another has it."""
    try:
        await workspace.experience(tenant)
    except MissingPart as error:
        raise MissingPart(f"{error} Or learn without it: --no-record.") from error


def ask_person(question: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """Ask on the terminal about every change, and everything that waits."""
    if question["problem"]:
        console.print(escape(question["problem"]), style="red")
    changes: dict[str, Any] = {}
    rest = ""
    for change in question["changes"]:
        before, after = change["before"], change["after"]
        console.print(
            render_change(change["kind"], before and before["text"], after and after["text"])
        )
        behind = plural(len(change["evidence"]), "attempt")
        console.print(f"  evidence: {behind}", style="dim")
        changes[change["rule"]], rest = _word(console, rest)
    decisions: dict[str, Any] = {}
    for each in question["quarantined"]:
        console.print(f"[yellow]stopped[/]  {escape(each['operation']['text'])}")
        console.print(f"  {escape(each['reason'])}", style="dim")
        word, _ = _word(console, "")
        decisions[each["key"]] = word
    return {"changes": changes, "quarantined": decisions}


def _word(console: Console, rest: str) -> tuple[Any, str]:
    """Ask for one word; 'all' holds for what follows too."""
    if rest:
        return rest, rest
    words = ["approve", "reject", "edit", "approve all", "reject all"]
    answer = Prompt.ask("  decide", choices=words, default="approve", console=console)
    if answer == "edit":
        return {"edit": Prompt.ask("  new wording", console=console)}, ""
    word, _, every = answer.partition(" ")
    return word, word if every else ""


@app.command()
def show(ctx: typer.Context, environment: Where = HOME, tenant: Tenant = "default") -> None:
    """Print the released rules with their record, the draft, and what waits for a person."""

    async def read(rules: TenantRules) -> None:
        console = Console()
        current = await rules.releases.current()
        showings = await rules.showings.all()
        since = await rules.releases.in_force_since()
        title = f"Released: {current.id[:8]}" if current else "Released: nothing"
        released_table = _table(title, "record")
        for number, rule in enumerate(current.rules if current else (), 1):
            record = record_of(showings, rule.id, since.get((rule.id, rule.text), 0.0))
            successes = f"{record.successes} of {record.shown}" if record.shown else "not shown yet"
            released_table.add_row(*_cells(number, rule), successes)
        console.print(released_table if released_table.row_count else title)
        draft = await rules.log.load()
        draft_table = _table(f"Draft: {draft.version[:8]}" if draft.rules else "Draft: no rules")
        for number, rule in enumerate(draft.rules, 1):
            draft_table.add_row(*_cells(number, rule))
        console.print(draft_table if draft_table.row_count else draft_table.title)
        if draft.rules or current:
            console.print(f"{STRENGTH} {RECORD}", style="dim")
        else:
            console.print("`apprentice rules learn` learns some.", style="dim")
        for each in await rules.quarantine.waiting():
            console.print(f"[yellow]Waiting:[/] {escape(f'{each.operation} ({each.reason})')}")
        promotions = await rules.releases.promotions()
        for promotion in promotions:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(promotion.time))
            name = promotion.release[:8] or NONE
            console.print(f"{at}  {name}  {escape(promotion.reason)}", style="dim")
        if promotions:
            console.print(EVIDENCE, style="dim")

    with_rules(ctx, environment, tenant, read)


def _table(title: str, *more: str) -> Table:
    """Begin a table of rules."""
    table = Table(title=title, title_justify="left")
    table.add_column("", justify="right")
    table.add_column("rule")
    table.add_column("id", no_wrap=True)
    for name in ("strength", *more):
        table.add_column(name, justify="right")
    return table


def _cells(number: int, rule: Rule) -> tuple[str, ...]:
    return str(number), escape(rule.text), rule.id[:8], str(rule.strength)


@app.command("diff")
def compare(
    ctx: typer.Context,
    before: Annotated[str, typer.Argument(help=f"{SETS} Those in force when left out.")] = CURRENT,
    after: Annotated[str, typer.Argument(help="Likewise; the draft when left out.")] = DRAFT,
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Print how two sets of rules differ: what runs now and the draft, or any two.

    `apprentice rules show` lists the releases, and `apprentice rules history` the versions of the
    draft.
    """

    async def read(rules: TenantRules) -> None:
        old, new = await rules.rules(before), await rules.rules(after)
        differences = diff(Rulebook(rules=old), Rulebook(rules=new))
        console = Console()
        for each in differences:
            console.print(_difference(each))
        if not differences:
            console.print("They are the same.")

    with_rules(ctx, environment, tenant, read)


@app.command()
def curate(
    ctx: typer.Context,
    operations: Annotated[
        list[str],
        typer.Argument(
            help="Such as 'ADD: Mugs are in cabinets.', 'AGREE 2', 'REMOVE 3' or "
            "'EDIT 1: Look twice.'; the numbers are those of the draft."
        ),
    ],
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Change the draft by hand; `apprentice rules learn --tasks 0` judges and releases it.

    AGREE and EDIT add 1 to a rule's strength and REMOVE takes 1; at 0 the rule is out. A new rule
    has 2.

    All of it is done or, if anything is refused, nothing, so that the numbers stay as they were
    shown and the command can be mended and repeated.
    """

    async def write(rules: TenantRules) -> None:
        parses = [parse_operations(each) for each in operations]
        requested = [operation for each in parses for operation in each.operations]
        draft = await rules.log.load()
        trial = draft.apply(requested, author="person")
        if rejections := [*(no for each in parses for no in each.rejections), *trial.rejections]:
            sentences = " ".join(f"{each.written!r}: {each.reason}" for each in rejections)
            raise BadInput(f"Nothing was done, because not all of it can be. {sentences}")
        change = await rules.log.record(
            requested, run=str(uuid4()), author="person", reason="By hand.", seen=draft
        )
        console = Console()
        for each in diff(draft, change.rulebook):
            console.print(_difference(each))

    with_rules(ctx, environment, tenant, write)


@app.command("rollback")
def roll_back(
    ctx: typer.Context,
    release: Annotated[str, typer.Argument(help="A release, or none for no rules at all.")],
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Put an earlier release in force again, its adapter too, and make its rules the draft."""

    workspace = current_workspace(ctx)

    async def write(tenant_rules: TenantRules) -> None:
        earlier = await tenant_rules.releases.chosen(release)
        if earlier is None and release != NONE:
            raise BadInput("Nothing is released here. `rollback none` takes out whatever acts.")
        if earlier and earlier.adapter:
            await asyncio.to_thread(workspace.adapters.check_usable, earlier.adapter, tenant)
        rules = earlier.rules if earlier else ()
        name, run = earlier.id if earlier else "", str(uuid4())
        reason = f"Rolled back to {name[:8] or NONE}."
        await tenant_rules.log.restore(Rulebook(rules=rules), run=run, reason=reason)
        await tenant_rules.releases.promote(name, run=run, author="person", reason=reason)
        Console().print(f"In force: {name[:8] or NONE}, {plural(len(rules), 'rule')}.")

    with_rules(ctx, environment, tenant, write)


def _difference(each: Difference) -> Text:
    before, after = each.before, each.after
    line = render_change(each.kind, before.text if before else None, after.text if after else None)
    if before and after and before.text == after.text:
        line.append(f" (strength {before.strength} → {after.strength})", style="dim")
    return line


app.command()(provenance.history)
app.command()(provenance.evidence)
app.command()(provenance.withdraw)
