"""`apprentice rules`: learn, show, diff, curate, rollback; the others are in `provenance`."""

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

from apprentice.cli import event_loop, rule_evidence, terminal
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
from apprentice.state.context import Context
from apprentice.state.critique import CHUNK
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.expel import HELD_OUT, TASKS
from apprentice.state.releases import CURRENT, NONE
from apprentice.state.rule_record import record as record_of
from apprentice.state.rulebook import Difference, Rule, Rulebook, diff, parse_operations
from apprentice.workspace import Workspace

STRENGTH: Final = (
    "Strength: a new rule has 2. AGREE and EDIT add 1, REMOVE subtracts 1, and at 0 the rule is "
    "retired."
)
RECORD: Final = "Record: successes among the attempts that had the rule in view."
EVIDENCE: Final = (
    "Evidence of 40 to 1: rules without effect would look as good in at most 1 of 40 trials."
)

app = App(
    help="Learn rules from experience, and manage them.\n\n"
    "`learn` attempts tasks, drafts rules and releases those that help. `curate` changes the draft "
    "by hand, and `learn --tasks 0` then validates it. Agents see only the released rules.",
)


@app.command("learn")
def learn_rules(
    ctx: typer.Context,
    environment: Where = HOME,
    tenant: Tenant = "default",
    tasks: Annotated[
        int, typer.Option(metavar="N", help="Training tasks; 0 validates the draft as it is.")
    ] = TASKS,
    held_out: Annotated[
        int,
        typer.Option(metavar="N", help="Held-out tasks for the gate, at most."),
    ] = HELD_OUT,
    model: Model = "",
    chunk: Annotated[
        int, typer.Option(metavar="N", help="Successes that the critic reads together.")
    ] = CHUNK,
    review: Annotated[
        bool, typer.Option("--review", help="Decide on each change yourself, at a terminal.")
    ] = False,
    run: Annotated[
        str,
        typer.Option(metavar="NAME", help="The run's name; it continues an interrupted run."),
    ] = "",
    concurrency: Concurrency = CONCURRENCY,
    record: Annotated[
        bool,
        typer.Option(
            "--record/--no-record",
            help="Record the attempts in the memory, for other techniques.",
        ),
    ] = True,
) -> None:
    """Attempt tasks, draft rules from the attempts, and release those that help.

    Without `--review` the command asks nothing. Rules that pass the screening are validated and
    released. The others wait for a person, and no prompt has them.
    """
    if review and not terminal.at_terminal():
        raise BadInput(
            "--review needs a terminal, and there is none. Without it, rules that pass the "
            "screening are validated and released, and `apprentice rules show` lists the others. "
            "You can also review in LangGraph Studio (`make serve`), in the graph `expel`."
        )
    workspace = current_workspace(ctx)
    model_name = workspace.check_model(model)
    context = Context(tenant=tenant, model=model_name, record=record)
    name = run or time.strftime("%Y%m%d-%H%M%S")
    expel_run = ExpelRun(
        workspace.environment(environment).name, tasks, held_out, name, review, chunk
    )
    console = Console()
    try:
        outcome = _run_to_end(workspace, expel_run, context, console, concurrency)
    except Stop as error:
        again = f"`apprentice rules learn --run {name}`, with the same options, continues."
        raise exit_with(error, again) from error
    counts = outcome["operations"]
    console.print(
        f"{plural(counts.applied, 'operation')} applied, {counts.rejected} rejected, "
        f"{counts.quarantined} waiting for review."
    )
    console.print(f"[bold]{outcome['outcome'].capitalize()}.[/] {escape(outcome['reason'])}")
    if outcome["validation"]:
        console.print(EVIDENCE, style="dim")


def _run_to_end(
    workspace: Workspace, expel_run: ExpelRun, context: Context, console: Console, concurrency: int
) -> dict[str, Any]:
    """Run expel to its end; ask the person at the terminal when it has a question."""
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
    """Open the memory first, so that a locked memory is an error before any attempt."""
    try:
        await workspace.experience(tenant)
    except MissingPart as error:
        raise MissingPart(f"{error} Or learn without the memory: --no-record.") from error


def ask_person(question: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """Ask on the terminal about each change and each quarantined operation."""
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
    """Ask for a decision; with 'all' it also answers the later questions."""
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
    """Print the released rules with their record, the draft, and operations that wait."""

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
        for each in await rules.quarantine.to_review():
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
    """Return an empty table of rules."""
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
    before: Annotated[str, typer.Argument(help=f"{SETS} Default: the released rules.")] = CURRENT,
    after: Annotated[str, typer.Argument(help="The same names. Default: the draft.")] = DRAFT,
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Print how two sets of rules differ, such as the released rules and the draft.

    `apprentice rules show` lists the releases. `apprentice rules history` lists the versions of
    the draft.
    """

    async def read(rules: TenantRules) -> None:
        old, new = await rules.rules(before), await rules.rules(after)
        differences = diff(Rulebook(rules=old), Rulebook(rules=new))
        console = Console()
        for each in differences:
            console.print(_difference(each))
        if not differences:
            console.print("The rules are the same.")

    with_rules(ctx, environment, tenant, read)


@app.command()
def curate(
    ctx: typer.Context,
    operations: Annotated[
        list[str],
        typer.Argument(
            help="Such as 'ADD: Mugs are in cabinets.', 'AGREE 2', 'REMOVE 3' or "
            "'EDIT 1: Look twice.'. The numbers are those of the draft."
        ),
    ],
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Change the draft by hand. `apprentice rules learn --tasks 0` validates and releases it.

    A new rule has strength 2. AGREE and EDIT add 1, REMOVE subtracts 1, and at 0 the rule is
    retired.

    If one operation is refused, none is applied. The numbers of the rules then stay the same, and
    you can correct the command and repeat it.
    """

    async def write(rules: TenantRules) -> None:
        parses = [parse_operations(each) for each in operations]
        requested = [operation for each in parses for operation in each.operations]
        draft = await rules.log.load()
        trial = draft.apply(requested, author="person")
        if rejections := [*(no for each in parses for no in each.rejections), *trial.rejections]:
            sentences = " ".join(f"{each.written!r}: {each.reason}" for each in rejections)
            raise BadInput(f"No operation was applied, because some are refused. {sentences}")
        change = await rules.log.record(
            requested, run=str(uuid4()), author="person", reason="By hand.", shown_rulebook=draft
        )
        console = Console()
        for each in diff(draft, change.rulebook):
            console.print(_difference(each))

    with_rules(ctx, environment, tenant, write)


@app.command("rollback")
def roll_back(
    ctx: typer.Context,
    release: Annotated[str, typer.Argument(help="A release, or none for no rules.")],
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Return to an earlier release, with its adapter, and make its rules the draft."""

    workspace = current_workspace(ctx)

    async def write(tenant_rules: TenantRules) -> None:
        earlier = await tenant_rules.releases.resolve(release)
        if earlier is None and release != NONE:
            raise BadInput("Nothing is released here. `apprentice rules show` lists the releases.")
        if earlier and earlier.adapter:
            await asyncio.to_thread(workspace.adapters.check_usable, earlier.adapter, tenant)
        rules = earlier.rules if earlier else ()
        name, run = earlier.id if earlier else "", str(uuid4())
        reason = f"Rolled back to {name[:8] or NONE}."
        await tenant_rules.log.restore(Rulebook(rules=rules), run=run, reason=reason)
        await tenant_rules.releases.promote(name, run=run, author="person", reason=reason)
        Console().print(f"Released: {name[:8] or NONE}, {plural(len(rules), 'rule')}.")

    with_rules(ctx, environment, tenant, write)


def _difference(each: Difference) -> Text:
    before, after = each.before, each.after
    line = render_change(each.kind, before.text if before else None, after.text if after else None)
    if before and after and before.text == after.text:
        line.append(f" (strength {before.strength} → {after.strength})", style="dim")
    return line


app.command()(rule_evidence.history)
app.command()(rule_evidence.evidence)
app.command()(rule_evidence.withdraw)
