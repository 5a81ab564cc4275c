"""What rules rest on: `apprentice rules history`, `evidence` and `withdraw`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apprentice.cli import terminal
from apprentice.cli.options import HOME
from apprentice.cli.plural import counted
from apprentice.cli.tenant_rules import Book, Memory, Where, changed, with_book
from apprentice.memory.findings import attempts
from apprentice.memory.withdrawal import withdraw as withdraw_from
from apprentice.state.errors import BadInput
from apprentice.state.nouns import Trajectory
from apprentice.state.provenance import cited_trajectories, dependents_of, supporters
from apprentice.state.rulebook import Batch, Rule


def history(
    ctx: typer.Context,
    rule: Annotated[
        str,
        typer.Argument(
            help="The rule's id, or how it begins; left out, the versions of the draft are listed."
        ),
    ] = "",
    environment: Where = HOME,
    memory: Memory = "default",
) -> None:
    """Print what was done to one rule, by whom and on what evidence; or to the draft."""

    async def read(book: Book) -> None:
        await (_of_rule(rule, book) if rule else _of_draft(book))

    with_book(ctx, environment, memory, read)


async def _of_rule(name: str, book: Book) -> None:
    """Print what was done to one rule."""
    found = await book.rule(name)
    batches = {batch.key: batch for batch in await book.log.batches()}
    console = Console()
    for event in await book.log.history(found.id):
        batch = batches[event.batch]
        strength = event.after.strength if event.after else 0
        did = f"{batch.author}  {escape(str(event.operation))} → strength {strength}"
        console.print(f"{_moment(batch)}  {did}")
        for line in (batch.reason, event.reason, ", ".join(batch.evidence)):
            if line:
                console.print(f"  {escape(line)}", style="dim", soft_wrap=True)


async def _of_draft(book: Book) -> None:
    """List the versions of the draft, the oldest first."""
    table = Table(title="Versions of the draft", title_justify="left")
    for name in ("version", "since", "by", "rules", "operations"):
        table.add_column(name, justify="right" if name == "rules" else "left")
    for batch, rulebook in await book.versions():
        said = "\n".join(escape(str(each)) for each in batch.operations)
        count = str(len(rulebook.rules))
        table.add_row(rulebook.version[:8], _moment(batch), batch.author, count, said)
    Console().print(table)


def _moment(batch: Batch) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(batch.time))


def evidence(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(help="The id of a rule, or of an attempt; or how it begins.")
    ],
    environment: Where = HOME,
    memory: Memory = "default",
) -> None:
    """Print the attempts that a rule rests on; or an attempt, and the rules that rest on it."""

    async def read(book: Book) -> None:
        rules = await book.named(name)
        named = await _named(name, book)
        if len(rules) + len(named) != 1:
            many = f"{counted(len(rules), 'rule')} and {counted(len(named), 'attempt')}"
            raise BadInput(
                f"{many} have an id that begins with {name!r}, but it must be one. `apprentice "
                "rules show` lists the rules, and `apprentice rules evidence RULE` their attempts."
            )
        if rules:
            await _behind(rules[0], book)
        else:
            await _upon(named[0], book)

    with_book(ctx, environment, memory, read)


async def _named(begins: str, book: Book) -> list[str]:
    """Return the attempts that the log names, whose ids begin so."""
    every = cited_trajectories(await book.log.batches())
    return sorted(each for each in every if each.startswith(begins))


async def _whole(begins: str, book: Book) -> str:
    """Return the id that the log completes so, or what was given if that is all there is."""
    found = await _named(begins, book)
    if len(found) < 2 or begins in found:
        return begins if begins in found else (*found, begins)[0]
    raise BadInput(
        f"{len(found)} attempts have an id that begins with {begins!r}, but it must be one: "
        f"{', '.join(found[:5])}{', …' if found[5:] else ''}. Nothing was withdrawn."
    )


async def _behind(rule: Rule, book: Book) -> None:
    """Print the attempts that a rule rests on."""
    batches = await book.log.batches()
    spoke = supporters(batches, await book.log.load()).get(rule.id, [])
    ids = list(dict.fromkeys(each for batch in spoke for each in batch.evidence))
    found = await _attempts(ids, book)
    table = Table("attempt", "task", "trial", "ended", title=escape(rule.text))
    table.title_justify = "left"
    for each in ids:
        attempt = found.get(each)
        ended = ("", "", "not kept, or no attempt")
        if attempt:
            ended = (attempt.task.id, str(attempt.trial), terminal.outcome(attempt))
        table.add_row(each, *ended)
    Console().print(table)


async def _upon(attempt: str, book: Book) -> None:
    """Print an attempt, and the rules that rest on it."""
    console = Console()
    found = (await _attempts([attempt], book)).get(attempt)
    console.print(terminal.transcript(found) if found else f"{attempt} is not kept any more.")
    resting = dependents_of(await book.log.batches(), [attempt])
    for what, rules in (("alone", resting.alone), ("and others", resting.partly)):
        for rule in rules:
            console.print(f"[bold]Rests on it {what}:[/] {rule.id[:8]}  {escape(rule.text)}")


async def _attempts(ids: list[str], book: Book) -> dict[str, Trajectory]:
    """Look attempts up; the memory is only opened for what runs did not keep themselves."""
    found = await attempts(book.store, book.tenant, book.environment, ids)
    missing = [each for each in ids if each not in found]
    experience = await book.experience() if missing else None
    for each in missing:
        if experience and (kept := await experience.get(each)):
            found[each] = kept.trajectory
    return found


def withdraw(
    ctx: typer.Context,
    trajectories: Annotated[
        list[str],
        typer.Argument(help="Ids, as `rules evidence` names them; how one begins is enough."),
    ],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; it is kept.")
    ] = "Withdrawn by hand.",
    environment: Where = HOME,
    memory: Memory = "default",
) -> None:
    """Withdraw attempts that are bad, private or poisoned, and what rests on them alone.

    Nothing is done if one of them is unknown. What was interrupted, or was written meanwhile by a
    run under way, is withdrawn by the same command again.
    """

    async def write(book: Book) -> None:
        done = await withdraw_from(
            book.store,
            book.tenant,
            book.environment,
            [await _whole(each, book) for each in trajectories],
            reason,
            experience=await book.experience(),
        )
        console = Console()
        for rule in done.resting.alone:
            console.print(changed("removed", rule.text, None))
        for rule, left in done.resting.reductions:
            if left.text != rule.text:
                console.print(changed("reworded", rule.text, left.text))
            else:
                console.print(f"[yellow]weakened[/] {escape(left.text)} → {left.strength}")
        for rule in done.unreleased:
            console.print(changed("unreleased", rule.text, None))
        came = {
            "transcript": done.attempts,
            "reflection": done.reflections,
            "quarantined operation": done.stopped,
        }
        erased = ", ".join(counted(number, what) for what, number in came.items() if number)
        console.print(f"Erased: {erased or 'nothing that was not erased before'}.")
        if done.release:
            console.print(f"In force: {done.release[:8]}.")
        if done.resting.reductions:
            console.print("`apprentice rules learn --tasks 0` judges what is left.")

    with_book(ctx, environment, memory, write)
