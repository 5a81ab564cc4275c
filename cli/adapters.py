"""`apprentice adapters`: list, show, promote, roll back, prune and export fine-tuned adapters.

The commands are for the operator, who sees the adapters of all tenants. Agents use the adapter and
the rules of the current release. To promote or roll back an adapter is to make a new release with
the same rules.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from apprentice.cli.command import App
from apprentice.cli.options import HOME, Tenant, current_workspace
from apprentice.memory.releases import Releases, in_force
from apprentice.models.names import NOVICE
from apprentice.state.errors import BadInput
from apprentice.state.releases import Release
from apprentice.state.trajectory import digest
from apprentice.training.adapters import USABLE
from apprentice.workspace import LOCAL, Workspace

app = App(
    help="Manage fine-tuned adapters.",
)

Name = Annotated[
    str, typer.Argument(help="The adapter's name. `apprentice adapters list` prints the names.")
]
Where = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The environment, or a group of environments, such as household."
    ),
]
FIXED: Final = ("method", "base", "parent")


@app.command("list")
def list_adapters(
    ctx: typer.Context,
    base: Annotated[
        str, typer.Option(metavar="NAME", help="Only adapters of this local model.")
    ] = "",
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only adapters that this tenant may use.")
    ] = None,
) -> None:
    """List the adapters, the oldest first."""
    table = Table("name", "method", "base", "tenant", "status", "made", "reason")
    for each in current_workspace(ctx).adapters.all(base, tenant=tenant):
        created_at = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.created))
        whose = each.tenant or "everybody"
        table.add_row(
            each.name, each.method, each.base, whose, each.status, created_at, each.reason
        )
    Console().print(table if table.row_count else "There are no adapters.")


@app.command()
def show(ctx: typer.Context, name: Name) -> None:
    """Print an adapter's card: its origin, its results, and how to train it again."""
    console, workspace = Console(), current_workspace(ctx)
    registry = workspace.adapters
    card = registry.read(name)
    console.print_json(card.model_dump_json())
    if len(line := registry.lineage(name)) > 1:
        console.print(f"Continues: {', '.join(each.name for each in line[1:])}")
    if card.status == "incompatible" or not registry.fits(card):
        _print_plan(workspace, name, console)


@app.command()
def promote(
    ctx: typer.Context, name: Name, environment: Where = HOME, tenant: Tenant = "default"
) -> None:
    """Release an adapter without a gate. The log records it as a person's decision."""
    workspace = current_workspace(ctx)
    registry, environments = workspace.adapters, workspace.environments
    registry.check_owner(name, tenant)
    names = environments.names_below(environments.get(environment).name)
    card = registry.mark(name, "promoted", "A person released it.")
    asyncio.run(_put(workspace, card.name, f"{LOCAL}{card.base}", names, tenant))
    Console().print(f"{name} now acts in {', '.join(names)} for {tenant}.")


@app.command()
def rollback(ctx: typer.Context, environment: Where = HOME, tenant: Tenant = "default") -> None:
    """Return to the adapter before the current one, or to none. The rules stay the same."""
    workspace = current_workspace(ctx)
    registry = workspace.adapters
    steps = asyncio.run(_back(workspace, environment, tenant))
    registered_names = {each.name for each in registry.all()}
    # Another tenant or environment may still use it.
    for former in sorted(
        {former for former, _ in steps}
        & registered_names - asyncio.run(_adapters_in_force(workspace))
    ):
        registry.mark(former, "retired", "A person rolled it back.")
    for (former, back), names in steps.items():
        acts = back or "the plain model"
        Console().print(f"{former} no longer acts in {', '.join(names)} for {tenant}; {acts} does.")


@app.command()
def prune(
    ctx: typer.Context,
    base: Annotated[str, typer.Option(metavar="NAME", help="The local model.")] = NOVICE,
    keep: Annotated[
        int, typer.Option(metavar="N", min=0, help="Keep this many of the latest.")
    ] = 3,
) -> None:
    """Delete adapters that are rejected, retired or incompatible, except the latest.

    Adapters in use by a tenant are never deleted.
    """
    workspace = current_workspace(ctx)
    deleted_names = workspace.adapters.prune(base, keep, asyncio.run(_adapters_in_force(workspace)))
    Console().print(
        f"Deleted: {', '.join(deleted_names)}" if deleted_names else "There was nothing to delete."
    )


@app.command()
def export(
    ctx: typer.Context,
    name: Name,
    out: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
) -> None:
    """Write the base model with the adapter merged in, for vLLM and other servers."""
    Console().print(
        f"Written: {current_workspace(ctx).adapters.export_merged(name, out)}", soft_wrap=True
    )


def _print_plan(workspace: Workspace, name: str, console: Console) -> None:
    console.print("The weights of its base have changed. To train it again, run in this order:")
    jobs = workspace.adapters.retraining_plan(name, workspace.jobs)
    for number, job in enumerate(jobs):
        where = job.folder or f"<the dataset with fingerprint {job.dataset}>"
        parent = f" --parent <adapter {number} of these>" if number else ""
        whose = f" --tenant {shlex.quote(job.tenant)}" if job.tenant else ""
        console.print(
            f"  python -m apprentice.training.{job.method} --dataset {where}"
            f" --base {job.settings['base']}"
            f"{whose}{parent}{_options(job.settings)}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def _options(settings: Mapping[str, Any]) -> str:
    """Return a job's settings as command-line options."""
    arguments = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        if name in FIXED or value in ([], ()):
            continue
        if isinstance(value, bool):
            arguments.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, list | tuple):
            arguments.append(f"--{option} {' '.join(map(str, value))}")
        else:
            arguments.append(f"--{option} {value}")
    return "".join(f" {each}" for each in arguments)


async def _adapters_in_force(workspace: Workspace) -> set[str]:
    """Return the adapters that are released for any tenant in any environment."""
    async with workspace.store() as store:
        return {each.adapter for each in await in_force(store)}


async def _put(
    workspace: Workspace, adapter: str, model: str, environments: Sequence[str], tenant: str
) -> None:
    """Release an adapter with the current rules."""
    async with workspace.store() as store:
        for name in environments:
            await _release(Releases(store, tenant, name), adapter, model)


async def _back(
    workspace: Workspace, environment: str, tenant: str
) -> dict[tuple[str, str], list[str]]:
    """Roll back the released adapters; return (former, now) -> environments."""
    environment_name = workspace.environment(environment).name
    steps: dict[tuple[str, str], list[str]] = {}
    async with workspace.store() as store:
        for name in workspace.environments.names_below(environment_name):
            releases = Releases(store, tenant, name)
            current = await releases.current()
            if current and current.adapter:
                back = await _before(workspace, releases, current)
                await _release(releases, back, current.model)
                steps.setdefault((current.adapter, back), []).append(name)
    if not steps:
        raise BadInput(
            f"No adapter acts in {environment_name} for {tenant!r}. `apprentice adapters list` "
            "prints the adapters."
        )
    return steps


async def _before(workspace: Workspace, releases: Releases, current: Release) -> str:
    """Return the last earlier adapter that is still usable, or ''."""
    registry = workspace.adapters
    fit = {
        each.name
        for each in registry.all(tenant=releases.tenant)
        if each.status in USABLE and registry.fits(each)
    }
    for promotion in reversed(await releases.promotions()):
        earlier = await releases.get(promotion.release) if promotion.release else None
        adapter = earlier.adapter if earlier and earlier.model == current.model else ""
        if adapter != current.adapter and (adapter in fit or not adapter):
            return adapter
    return ""


async def _release(releases: Releases, adapter: str, model: str) -> None:
    current = await releases.current()
    run = uuid4().hex
    changes = {
        "id": digest("release", releases.tenant, releases.environment, adapter, run),
        "adapter": adapter,
        "model": model,
        "run": run,
        "base": current.id if current else "",
        "validation": None,
    }
    empty = Release(id=str(changes["id"]), tenant=releases.tenant, environment=releases.environment)
    release = (current or empty).model_copy(update=changes)
    await releases.publish(release, author="person", reason="By hand.")
