"""`apprentice import` and `apprentice export`: attempts in and out of the experience memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, get_args

import typer
from rich.console import Console
from rich.markup import escape

from apprentice.cli.options import Environment, Tenant, current_workspace
from apprentice.cli.output import write_json
from apprentice.cli.plural import plural
from apprentice.memory.exchange import transfer
from apprentice.memory.exchange.files import (
    Item,
    read_dataset,
    read_jsonl,
    write_dataset,
    write_jsonl,
)
from apprentice.memory.exchange.langsmith import project
from apprentice.memory.exchange.transfer import Imported, left_out
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.state.experience import OutcomeFilter
from apprentice.workspace import Workspace

LANGSMITH: Final = "langsmith:"
JSONL: Final = ".jsonl"
_SHOWN: Final = 20  # refused rows that are printed


def import_attempts(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A .jsonl file, a folder that save_to_disk wrote, or langsmith:PROJECT."
        ),
    ],
    tenant: Tenant = "default",
    environment: Annotated[
        str,
        typer.Option(metavar="NAME", help="Where attempts were made whose rows do not say."),
    ] = "",
    feedback: Annotated[
        str, typer.Option(metavar="KEY", help="For LangSmith: the feedback that is the verdict.")
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="For LangSmith: how many runs, at most."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the whole account goes, as JSON."),
    ] = None,
) -> None:
    """Take attempts made elsewhere into the memory: chat messages and outcomes.

    Doing it again changes nothing. What is refused is listed, with its line and the reason; if
    that is everything, the command has failed.
    """
    Context(tenant=tenant)
    console = Console()
    items, workspace = _items(source, feedback, limit), current_workspace(ctx)
    with console.status("Importing …") as status:
        account = asyncio.run(
            _import(
                workspace,
                items,
                tenant,
                environment,
                lambda n: status.update(f"{plural(n, 'row')} read"),
            )
        )
    _print(console, account, tenant)
    if report:
        write_json(report, account.model_dump(mode="json"))
        console.print(f"The whole account: {report}", soft_wrap=True)
    if account.rows and len(account.refused) == account.rows:
        raise BrokenData(
            f"Nothing of {source} could be taken in. Mend the rows as the reasons above say, and "
            "import it again."
        )


def export_attempts(
    ctx: typer.Context,
    target: Annotated[
        Path, typer.Argument(help="A .jsonl file, or a new folder for a Hugging Face data set.")
    ],
    tenant: Tenant = "default",
    environment: Environment = "",
    kind: Annotated[
        str, typer.Option(metavar="NAME", help="Only attempts at this kind of task.")
    ] = "",
    outcome: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Only these: successes, failures, or any that have a verdict."
        ),
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a .jsonl file that is there.")
    ] = False,
) -> None:
    """Write what the memory keeps, for other programs and as a backup.

    What cannot be read is left out and named, and the command then ends with an error.
    """
    Context(tenant=tenant)
    _check_free(target, replace)
    if outcome and outcome not in get_args(OutcomeFilter):
        raise UnknownName("outcome", outcome, get_args(OutcomeFilter))
    filters = {"environment": environment, "kind": kind, "outcome": outcome or None}
    count = asyncio.run(_export(current_workspace(ctx), target, tenant, filters))
    Console().print(f"{plural(count, 'attempt')}: {escape(str(target))}", soft_wrap=True)


def _items(source: str, feedback: str, limit: int | None) -> Iterable[Item] | AsyncIterable[Item]:
    """Return the rows of a source, by what its name says it is."""
    if source.startswith(LANGSMITH):
        return project(source.removeprefix(LANGSMITH), feedback, limit)
    if feedback or limit:
        raise BadInput("--feedback and --limit are for langsmith:PROJECT. Leave them out.")
    path = Path(source)
    return read_dataset(path) if path.is_dir() else read_jsonl(path)


def _check_free(target: Path, replace: bool) -> None:
    """Raise BadInput if something would be lost; a folder with something in it is never."""
    if target.is_file() and not replace:
        raise BadInput(f"{target} exists already. Name a new file, or write over it: --replace.")
    if target.is_dir() and any(target.iterdir()):
        raise BadInput(f"{target} is not empty. Name a new folder.")


async def _import(
    workspace: Workspace,
    items: Iterable[Item] | AsyncIterable[Item],
    tenant: str,
    environment: str,
    report_count: Callable[[int], None],
) -> Imported:
    rows = await _with_first_row(items)  # no memory is made for a source that is not there
    try:
        return await transfer.import_attempts(
            await workspace.experience(tenant), rows, environment, report_count
        )
    finally:
        await workspace.close()


async def _with_first_row(
    items: Iterable[Item] | AsyncIterable[Item],
) -> Iterable[Item] | AsyncIterable[Item]:
    """Read a source's first row, and return all of them."""
    if isinstance(items, AsyncIterable):
        rest = aiter(items)
        return _after(await anext(rest, None), rest)
    rows = iter(items)
    first = await asyncio.to_thread(next, rows, None)
    return chain([] if first is None else [first], rows)


async def _after(first: Item | None, rest: AsyncIterator[Item]) -> AsyncIterator[Item]:
    if first is not None:
        yield first
    async for each in rest:
        yield each


async def _export(workspace: Workspace, target: Path, tenant: str, filters: dict[str, Any]) -> int:
    if not workspace.experiences.begun():
        raise workspace.experiences.none_yet()
    broken: list[BrokenData] = []
    try:
        stream = transfer.export_attempts(
            await workspace.experience(tenant), **filters, unread=broken.append
        )
        rows = [row async for row in stream]
    finally:
        await workspace.close()
    count = await asyncio.to_thread(_write, target, rows)
    if broken:
        raise left_out(count, broken)
    return count


def _write(target: Path, rows: list[dict[str, Any]]) -> int:
    if target.suffix == JSONL:
        return write_jsonl(target, rows)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"rows{JSONL}"
        count = write_jsonl(file, rows)
        write_dataset(target, file)
    return count


def _print(console: Console, account: Imported, tenant: str) -> None:
    """Print what became of the rows, and where they are."""
    console.print(
        f"{plural(account.rows, 'row')}: {account.new} new ({account.unjudged} of them without a verdict), "
        f"{account.known} known ({account.judged} of them judged now), {len(account.refused)} refused."
    )
    if account.environments:
        names = ", ".join(
            f"{name} ({plural(count, 'attempt')})" for name, count in account.environments.items()
        )
        console.print(
            f"They are in the memory of the tenant {escape(tenant)}, in {escape(names)}.",
            soft_wrap=True,
        )
    if account.beside:
        names = ", ".join(account.beside)
        console.print(f"Kept as metadata, without a meaning here: {escape(names)}.")
    for where, reason in account.refused[:_SHOWN]:
        console.print(f"Refused, {where}: {escape(reason)}", soft_wrap=True)
    if len(account.refused) > _SHOWN:
        console.print(f"And {len(account.refused) - _SHOWN} more; --report FILE lists all.")
