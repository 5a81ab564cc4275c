"""`apprentice memory`: what is remembered, and keeping it good."""

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
    help="Look after the attempts that are remembered.",
    epilog="A server that keeps the memory in a folder has it open: stop it first, or share a "
    "Qdrant server with it by QDRANT_URL.",
)


@app.command()
def report(ctx: typer.Context, tenant: Tenant = "default") -> None:
    """Print what is remembered, and how what was shown fared."""
    Context(tenant=tenant)
    memories = current_workspace(ctx).experiences
    if memories.begun():
        _print(Console(), _with(ctx, tenant, lambda memory: memory.report()))
    else:
        Console().print(
            f"Nothing is remembered: {memories.none_yet()}", markup=False, soft_wrap=True
        )


@app.command()
def tidy(
    ctx: typer.Context,
    tenant: Tenant = "default",
    capacity: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Attempts to keep, at most; the memory's own when left out."
        ),
    ] = None,
) -> None:
    """Set near-duplicates of a task aside, and let go of the least useful beyond the capacity."""
    outcome = _with(ctx, tenant, lambda memory: memory.tidy(capacity))
    Console().print(
        f"Set aside, because they repeat a better one: {plural(outcome.set_aside, 'attempt')}. "
        f"Let go: {len(outcome.evictions)}."
    )


@app.command()
def optimize(ctx: typer.Context) -> None:
    """Build the indexes anew, for all tenants; recall is faster then."""
    _ = current_workspace(ctx).experiences.folder  # a server does it by itself, and says so
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
    """Write the whole memory, of all tenants, into one file."""
    snapshots.save(current_workspace(ctx).experiences.folder, file)
    size = file.stat().st_size / 2**20
    Console().print(f"{escape(str(file))}, {size:.1f} MiB.", soft_wrap=True)


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `apprentice memory snapshot` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Lose what is remembered now, of all tenants.")
    ] = False,
) -> None:
    """Bring back what a snapshot holds, whole or not at all."""
    snapshots.restore(file, current_workspace(ctx).experiences.folder, over=replace)
    Console().print(f"The memory is that of {escape(str(file))}.", soft_wrap=True)


def _with(ctx: typer.Context, tenant: str, job: Callable[[Experience], Awaitable[T]]) -> T:
    """Open a tenant's memory, and do a job with it; none is made where there is none.

    Raises:
        MissingPart: there is no memory.
    """
    Context(tenant=tenant)
    workspace = current_workspace(ctx)
    if not workspace.experiences.begun():
        raise workspace.experiences.none_yet()

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
        f"Never shown: at held-out tasks {report.held_out}, repeating a better one "
        f"{report.duplicates}."
    )
    console.print(
        f"Recalled by themselves: {plural(report.steps, 'step')}, "
        f"{plural(report.reflections, 'reflection')}."
    )
    if not report.uses:
        return
    title = f"The most shown of {len(report.uses)}"
    table = Table("attempt", "shown", "then solved", title=title, title_justify="left")
    for use in report.uses[:_SHOWN]:
        table.add_row(escape(use.trajectory), str(use.shown), str(use.successes))
    console.print(table)
