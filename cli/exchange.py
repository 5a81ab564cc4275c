"""`apprentice import` and `apprentice export`: attempts in and out of the experience memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, get_args

import typer
from rich.console import Console
from rich.markup import escape

from cli.output import write_json
from memory.exchange.files import Item, dataset, jsonl, write_dataset, write_jsonl
from memory.exchange.langsmith import project
from memory.exchange.transfer import Imported, left_out, rows, take_in
from memory.experience.opening import close
from nodes.experience import experience
from state.context import Context
from state.errors import BadInput, BrokenData, UnknownName
from state.experience import Outcome

LANGSMITH: Final = "langsmith:"
JSONL: Final = ".jsonl"
_SHOWN: Final = 20  # refused rows that are printed

Tenant = Annotated[str, typer.Option(help="Whose memory.")]
Environment = Annotated[str, typer.Option(help="Where the attempts were made.")]


def import_attempts(
    source: Annotated[
        str,
        typer.Argument(
            help="A .jsonl file, a folder that save_to_disk wrote, or langsmith:PROJECT."
        ),
    ],
    tenant: Tenant = "default",
    environment: Annotated[
        str, typer.Option(help="Where attempts were made whose rows do not say.")
    ] = "",
    feedback: Annotated[
        str, typer.Option(metavar="KEY", help="For LangSmith: the feedback that is the verdict.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="For LangSmith: how many runs, at most.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the whole account goes, as JSON."),
    ] = None,
) -> None:
    """Take attempts made elsewhere into the memory: chat messages and outcomes.

    Doing it again changes nothing. What is refused is listed, with its line and the reason.
    """
    Context(tenant=tenant)
    console = Console()
    items = _items(source, feedback, limit)
    with console.status("Importing …") as status:
        done = asyncio.run(
            _import(items, tenant, environment, lambda n: status.update(f"{n} rows read"))
        )
    _print(console, done)
    if report:
        write_json(report, done.model_dump(mode="json"))
        console.print(f"The whole account: {report}", soft_wrap=True)


def export_attempts(
    target: Annotated[
        Path, typer.Argument(help="A .jsonl file, or a new folder for a Hugging Face data set.")
    ],
    tenant: Tenant = "default",
    environment: Environment = "",
    kind: Annotated[str, typer.Option(help="Only attempts at this kind of task.")] = "",
    outcome: Annotated[
        str, typer.Option(help="Only these: successes, failures, or any with a verdict.")
    ] = "",
) -> None:
    """Write what the memory keeps, for other programs and as a backup.

    What cannot be read is left out and named, and the command then ends with an error.
    """
    Context(tenant=tenant)
    if outcome and outcome not in get_args(Outcome):
        raise UnknownName("outcome", outcome, get_args(Outcome))
    wanted = {"environment": environment, "kind": kind, "outcome": outcome or None}
    count = asyncio.run(_export(target, tenant, wanted))
    Console().print(f"{count} attempts: {escape(str(target))}", soft_wrap=True)


def _items(source: str, feedback: str, limit: int | None) -> Iterable[Item] | AsyncIterable[Item]:
    """Return the rows of a source, by what its name says it is."""
    if source.startswith(LANGSMITH):
        return project(source.removeprefix(LANGSMITH), feedback, limit)
    if feedback or limit:
        raise BadInput("--feedback and --limit are for langsmith:PROJECT. Leave them out.")
    path = Path(source)
    return dataset(path) if path.is_dir() else jsonl(path)


async def _import(
    items: Iterable[Item] | AsyncIterable[Item],
    tenant: str,
    environment: str,
    told: Callable[[int], None],
) -> Imported:
    try:
        return await take_in(await experience(tenant), items, environment, told)
    finally:
        await close()


async def _export(target: Path, tenant: str, wanted: dict[str, Any]) -> int:
    broken: list[BrokenData] = []
    try:
        kept = [row async for row in rows(await experience(tenant), **wanted, unread=broken.append)]
    finally:
        await close()
    count = await asyncio.to_thread(_write, target, kept)
    if broken:
        raise left_out(count, broken)
    return count


def _write(target: Path, kept: list[dict[str, Any]]) -> int:
    if target.suffix == JSONL:
        return write_jsonl(target, kept)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"rows{JSONL}"
        count = write_jsonl(file, kept)
        write_dataset(target, file)
    return count


def _print(console: Console, done: Imported) -> None:
    """Print what became of the rows."""
    console.print(
        f"{done.rows} rows: {done.new} new ({done.unjudged} of them without a verdict), "
        f"{done.known} known ({done.judged} of them judged now), {len(done.refused)} refused."
    )
    if done.beside:
        listed = ", ".join(done.beside)
        console.print(f"Kept as metadata, without a meaning here: {escape(listed)}.")
    for where, reason in done.refused[:_SHOWN]:
        console.print(f"Refused, {where}: {escape(reason)}", soft_wrap=True)
    if len(done.refused) > _SHOWN:
        console.print(f"And {len(done.refused) - _SHOWN} more; --report FILE lists all.")
