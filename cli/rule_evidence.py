"""The evidence behind rules: `apprentice rules history`, `evidence` and `withdraw`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apprentice.cli import terminal
from apprentice.cli.options import HOME, Tenant
from apprentice.cli.plural import plural
from apprentice.cli.tenant_rules import TenantRules, Where, render_change, with_rules
from apprentice.memory.run_results import attempts
from apprentice.memory.withdrawal import withdraw as withdraw_from
from apprentice.state.errors import BadInput
from apprentice.state.provenance import cited_trajectories, dependents_of, supporters
from apprentice.state.rulebook import Batch, Rule
from apprentice.state.trajectory import Trajectory


def history(
    ctx: typer.Context,
    rule: Annotated[
        str,
        typer.Argument(
            help="The rule's id, or its beginning. Without it, the draft's versions are listed."
        ),
    ] = "",
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Print the changes of one rule, with authors and evidence; or those of the draft."""

    async def read(rules: TenantRules) -> None:
        await (_of_rule(rule, rules) if rule else _of_draft(rules))

    with_rules(ctx, environment, tenant, read)


async def _of_rule(name: str, log_of: TenantRules) -> None:
    """Print the changes of one rule."""
    rule = await log_of.rule(name)
    batches = {batch.key: batch for batch in await log_of.log.batches()}
    console = Console()
    for event in await log_of.log.history(rule.id):
        batch = batches[event.batch]
        strength = event.after.strength if event.after else 0
        did = f"{batch.author}  {escape(str(event.operation))} → strength {strength}"
        console.print(f"{_time_of(batch)}  {did}")
        for line in (batch.reason, event.reason, ", ".join(batch.evidence)):
            if line:
                console.print(f"  {escape(line)}", style="dim", soft_wrap=True)


async def _of_draft(rules: TenantRules) -> None:
    """List the versions of the draft, the oldest first."""
    table = Table(title="Versions of the draft", title_justify="left")
    for name in ("version", "since", "by", "rules", "operations"):
        table.add_column(name, justify="right" if name == "rules" else "left")
    for batch, rulebook in await rules.versions():
        operations = "\n".join(escape(str(each)) for each in batch.operations)
        count = str(len(rulebook.rules))
        table.add_row(rulebook.version[:8], _time_of(batch), batch.author, count, operations)
    Console().print(table)


def _time_of(batch: Batch) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(batch.time))


def evidence(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(help="The id of a rule or of an attempt, or its beginning.")
    ],
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Print the attempts behind a rule; or an attempt and the rules that cite it."""

    async def read(tenant_rules: TenantRules) -> None:
        rules = await tenant_rules.rules_with_id(name)
        attempts_cited = await _cited_attempts(name, tenant_rules)
        if len(rules) + len(attempts_cited) != 1:
            many = f"{plural(len(rules), 'rule')} and {plural(len(attempts_cited), 'attempt')}"
            raise BadInput(
                f"{many} have an id that begins with {name!r}. It must be exactly one. `apprentice "
                "rules show` lists the rules, and `apprentice rules evidence RULE` their attempts."
            )
        if rules:
            await _behind(rules[0], tenant_rules)
        else:
            await _upon(attempts_cited[0], tenant_rules)

    with_rules(ctx, environment, tenant, read)


async def _cited_attempts(begins: str, rules: TenantRules) -> list[str]:
    """Return the attempts in the log with this beginning of their id."""
    every = cited_trajectories(await rules.log.batches())
    return sorted(each for each in every if each.startswith(begins))


async def _whole(begins: str, rules: TenantRules) -> str:
    """Return the full id for its beginning; an id that the log does not have stays as it is.

    Raises:
        BadInput: several attempts have this beginning.
    """
    matches = await _cited_attempts(begins, rules)
    if len(matches) < 2 or begins in matches:
        return begins if begins in matches else (*matches, begins)[0]
    raise BadInput(
        f"{len(matches)} attempts have an id that begins with {begins!r}. It must be exactly one: "
        f"{', '.join(matches[:5])}{', …' if matches[5:] else ''}. Nothing was withdrawn."
    )


async def _behind(rule: Rule, rules: TenantRules) -> None:
    """Print the attempts behind a rule."""
    batches = await rules.log.batches()
    spoke = supporters(batches, await rules.log.load()).get(rule.id, [])
    ids = list(dict.fromkeys(each for batch in spoke for each in batch.evidence))
    known_attempts = await _attempts(ids, rules)
    table = Table("attempt", "task", "trial", "ended", title=escape(rule.text))
    table.title_justify = "left"
    for each in ids:
        attempt = known_attempts.get(each)
        cells = ("", "", "not stored, or not an attempt")
        if attempt:
            cells = (attempt.task.id, str(attempt.trial), terminal.outcome(attempt))
        table.add_row(each, *cells)
    Console().print(table)


async def _upon(attempt: str, rules: TenantRules) -> None:
    """Print an attempt and the rules that cite it."""
    console = Console()
    trajectory = (await _attempts([attempt], rules)).get(attempt)
    console.print(
        terminal.transcript(trajectory) if trajectory else f"{attempt} is no longer stored."
    )
    dependents = dependents_of(await rules.log.batches(), [attempt])
    for what, those in (("only", dependents.alone), ("among others", dependents.partly)):
        for rule in those:
            console.print(f"[bold]Cites it ({what}):[/] {rule.id[:8]}  {escape(rule.text)}")


async def _attempts(ids: list[str], rules: TenantRules) -> dict[str, Trajectory]:
    """Return attempts by id; the memory is opened only for attempts that no run has stored."""
    by_id = await attempts(rules.store, rules.tenant, rules.environment, ids)
    absent = [each for each in ids if each not in by_id]
    experience = await rules.experience() if absent else None
    for each in absent:
        if experience and (record := await experience.get(each)):
            by_id[each] = record.trajectory
    return by_id


def withdraw(
    ctx: typer.Context,
    trajectories: Annotated[
        list[str],
        typer.Argument(help="Ids, which `rules evidence` prints, or their beginnings."),
    ],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="The reason, for the log.")
    ] = "Withdrawn by hand.",
    environment: Where = HOME,
    tenant: Tenant = "default",
) -> None:
    """Withdraw bad, private or poisoned attempts, and the rules that cite nothing else.

    If one id is unknown, nothing changes. Run the command again after an interruption, or if a run
    was writing at the same time.
    """

    async def write(rules: TenantRules) -> None:
        withdrawal = await withdraw_from(
            rules.store,
            rules.tenant,
            rules.environment,
            [await _whole(each, rules) for each in trajectories],
            reason,
            experience=await rules.experience(),
        )
        console = Console()
        for rule in withdrawal.dependents.alone:
            console.print(render_change("removed", rule.text, None))
        for rule, reduced_rule in withdrawal.dependents.reductions:
            if reduced_rule.text != rule.text:
                console.print(render_change("reworded", rule.text, reduced_rule.text))
            else:
                console.print(
                    f"[yellow]weakened[/] {escape(reduced_rule.text)} → {reduced_rule.strength}"
                )
        for rule in withdrawal.rules_left_out:
            console.print(render_change("unreleased", rule.text, None))
        came = {
            "transcript": withdrawal.attempts,
            "reflection": withdrawal.reflections,
            "quarantined operation": withdrawal.quarantined_operations,
        }
        summary = ", ".join(plural(number, what) for what, number in came.items() if number)
        console.print(f"Erased: {summary or 'nothing; it was erased before'}.")
        if withdrawal.release:
            console.print(f"Released: {withdrawal.release[:8]}.")
        if withdrawal.dependents.reductions:
            console.print("`apprentice rules learn --tasks 0` validates the remaining rules.")

    with_rules(ctx, environment, tenant, write)
