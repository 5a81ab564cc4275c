"""`apprentice memory`: reports, maintenance and snapshots of the memory of attempts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from apprentice.cli.command import App
from apprentice.cli.options import Tenant, current_workspace
from apprentice.cli.plural import plural
from apprentice.memory.experience import Experience, snapshots
from apprentice.state.context import Context
from apprentice.state.experience import ExperienceReport

T = TypeVar("T")
_SHOWN: Final = 10

app = App(
    help="Manage the memory of attempts.",
    epilog="Only one process can open a memory folder. Stop the server first, or set QDRANT_URL so "
    "that both use one Qdrant server.",
)


@app.command()
def report(ctx: typer.Context, tenant: Tenant = "default") -> None:
    """Print what the memory has, and how often its exemplars led to success."""
    Context(tenant=tenant)
    memories = current_workspace(ctx).experiences
    if memories.exists():
        _print(Console(), _with(ctx, tenant, lambda memory: memory.report()))
    else:
        Console().print(
            f"The memory is empty: {memories.no_memory_error()}", markup=False, soft_wrap=True
        )


@app.command()
def tidy(
    ctx: typer.Context,
    tenant: Tenant = "default",
    capacity: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Attempts to keep, at most. Default: the memory's capacity."
        ),
    ] = None,
) -> None:
    """Hide near-duplicates, and delete the least useful attempts beyond the capacity."""
    outcome = _with(ctx, tenant, lambda memory: memory.tidy(capacity))
    Console().print(
        f"Hidden, because they repeat a better one: {plural(outcome.set_aside, 'attempt')}. "
        f"Deleted: {len(outcome.evictions)}."
    )


@app.command()
def optimize(ctx: typer.Context) -> None:
    """Rebuild the indexes of all tenants, so that recall is faster."""
    _ = current_workspace(ctx).experiences.folder  # with a server this raises: it does it by itself
    began = time.monotonic()
    console = Console()
    with console.status("Building the indexes …"):
        _with(ctx, "default", lambda memory: memory.optimize())
    console.print(f"The indexes were built in {time.monotonic() - began:.0f} s.")


@app.command()
def snapshot(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file, such as monday.tar.gz.")],
) -> None:
    """Write the memory of all tenants into one file."""
    snapshots.save(current_workspace(ctx).experiences.folder, file)
    size = file.stat().st_size / 2**20
    Console().print(f"{escape(str(file))}, {size:.1f} MiB.", soft_wrap=True)


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file of `apprentice memory snapshot`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the present memory of all tenants.")
    ] = False,
) -> None:
    """Restore the memory from a snapshot, completely or not at all."""
    snapshots.restore(file, current_workspace(ctx).experiences.folder, over=replace)
    Console().print(f"The memory is restored from {escape(str(file))}.", soft_wrap=True)


def _with(ctx: typer.Context, tenant: str, job: Callable[[Experience], Awaitable[T]]) -> T:
    """Open a tenant's memory and run a job with it.

    Raises:
        MissingPart: there is no memory yet.
    """
    Context(tenant=tenant)
    workspace = current_workspace(ctx)
    if not workspace.experiences.exists():
        raise workspace.experiences.no_memory_error()

    async def work() -> T:
        try:
            return await job(await workspace.experience(tenant))
        finally:
            await workspace.close()

    return asyncio.run(work())


def _print(console: Console, report: ExperienceReport) -> None:
    without_verdict = report.attempts - report.successes - report.failures
    console.print(
        f"{plural(report.attempts, 'attempt')} of at most {report.capacity:,}: "
        f"{plural(report.successes, 'success', 'successes')}, "
        f"{plural(report.failures, 'failure')}, {without_verdict} without a verdict."
    )
    console.print(
        f"Never shown: {report.held_out} at held-out tasks, {report.duplicates} that repeat a "
        "better one."
    )
    console.print(
        f"Recalled on their own: {plural(report.steps, 'step')}, "
        f"{plural(report.reflections, 'reflection')}."
    )
    if not report.uses:
        return
    title = f"The most shown attempts, of {len(report.uses)}"
    table = Table("attempt", "shown", "then solved", title=title, title_justify="left")
    for use in report.uses[:_SHOWN]:
        table.add_row(escape(use.trajectory), str(use.shown), str(use.successes))
    console.print(table)
