"""`apprentice import` and `apprentice export`: attempts into and out of the memory."""

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
from apprentice.memory.exchange.transfer import ImportReport, left_out
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.state.experience import OutcomeFilter
from apprentice.workspace import Workspace

LANGSMITH: Final = "langsmith:"
JSONL: Final = ".jsonl"
_SHOWN: Final = 20  # the most refused rows that are printed


def import_attempts(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(help="A .jsonl file, a folder of save_to_disk, or langsmith:PROJECT."),
    ],
    tenant: Tenant = "default",
    environment: Annotated[
        str,
        typer.Option(metavar="NAME", help="The environment of rows that name none."),
    ] = "",
    feedback: Annotated[
        str, typer.Option(metavar="KEY", help="For LangSmith: the feedback key of the verdict.")
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="For LangSmith: runs, at most."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the full report to this file, as JSON."),
    ] = None,
) -> None:
    """Import attempts into the memory: chat messages and outcomes.

    A second import of the same rows changes nothing. Refused rows are listed with the line and the
    reason. If no row can be imported, the command fails.
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
        console.print(f"The full report: {report}", soft_wrap=True)
    if account.rows and len(account.refusals) == account.rows:
        raise BrokenData(
            f"No row of {source} could be imported. Correct the rows as the reasons above say, and "
            "import again."
        )


def export_attempts(
    ctx: typer.Context,
    target: Annotated[
        Path, typer.Argument(help="A .jsonl file, or a new folder for a Hugging Face data set.")
    ],
    tenant: Tenant = "default",
    environment: Environment = "",
    kind: Annotated[
        str, typer.Option(metavar="NAME", help="Only attempts at tasks of this kind.")
    ] = "",
    outcome: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only successes, failures, or any (all with a verdict)."),
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite an existing .jsonl file.")
    ] = False,
) -> None:
    """Export the attempts of the memory, for other programs or as a backup.

    If an attempt cannot be read, the command leaves it out, names it and fails.
    """
    Context(tenant=tenant)
    _check_free(target, replace)
    if outcome and outcome not in get_args(OutcomeFilter):
        raise UnknownName("outcome", outcome, get_args(OutcomeFilter))
    filters = {"environment": environment, "kind": kind, "outcome": outcome or None}
    count = asyncio.run(_export(current_workspace(ctx), target, tenant, filters))
    Console().print(f"{plural(count, 'attempt')}: {escape(str(target))}", soft_wrap=True)


def _items(source: str, feedback: str, limit: int | None) -> Iterable[Item] | AsyncIterable[Item]:
    """Return the rows of a file, a folder or a LangSmith project."""
    if source.startswith(LANGSMITH):
        return project(source.removeprefix(LANGSMITH), feedback, limit)
    if feedback or limit:
        raise BadInput("--feedback and --limit are for langsmith:PROJECT. Leave them out.")
    path = Path(source)
    return read_dataset(path) if path.is_dir() else read_jsonl(path)


def _check_free(target: Path, replace: bool) -> None:
    """Check that a target can be written without losing data.

    Raises:
        BadInput: the file exists and may not be replaced, or the folder is not empty.
    """
    if target.is_file() and not replace:
        raise BadInput(f"{target} exists already. Name a new file, or overwrite it with --replace.")
    if target.is_dir() and any(target.iterdir()):
        raise BadInput(f"{target} is not empty. Name a new folder.")


async def _import(
    workspace: Workspace,
    items: Iterable[Item] | AsyncIterable[Item],
    tenant: str,
    environment: str,
    report_count: Callable[[int], None],
) -> ImportReport:
    rows = await _with_first_row(items)  # a source that does not exist creates no memory
    try:
        return await transfer.import_attempts(
            await workspace.experience(tenant), rows, environment, report_count
        )
    finally:
        await workspace.close()


async def _with_first_row(
    items: Iterable[Item] | AsyncIterable[Item],
) -> Iterable[Item] | AsyncIterable[Item]:
    """Read the first row of a source, and return all rows."""
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
    if not workspace.experiences.exists():
        raise workspace.experiences.no_memory_error()
    broken: list[BrokenData] = []
    try:
        stream = transfer.export_attempts(
            await workspace.experience(tenant), **filters, on_unreadable=broken.append
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


def _print(console: Console, account: ImportReport, tenant: str) -> None:
    """Print the numbers of rows by result, and where the attempts are."""
    console.print(
        f"{plural(account.rows, 'row')}: {account.new} new "
        f"({account.without_verdict} of them without a verdict), {account.duplicates} known "
        f"({account.verdicts_added} of them with a new verdict), {len(account.refusals)} refused."
    )
    if account.environments:
        names = ", ".join(
            f"{name} ({plural(count, 'attempt')})" for name, count in account.environments.items()
        )
        console.print(
            f"They are in the memory of the tenant {escape(tenant)}, in {escape(names)}.",
            soft_wrap=True,
        )
    if account.extra_columns:
        names = ", ".join(account.extra_columns)
        console.print(f"Columns without a meaning here, stored as metadata: {escape(names)}.")
    for where, reason in account.refusals[:_SHOWN]:
        console.print(f"Refused, {where}: {escape(reason)}", soft_wrap=True)
    if len(account.refusals) > _SHOWN:
        console.print(f"And {len(account.refusals) - _SHOWN} more; --report FILE lists them all.")
