"""A tenant's rules in one environment, for the commands of `apprentice rules`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import typer
from langgraph.store.base import BaseStore
from rich.text import Text

from apprentice.cli.options import current_workspace
from apprentice.memory.experience import Experience
from apprentice.memory.quarantine import Quarantine
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.showings import Showings
from apprentice.state.context import Context
from apprentice.state.errors import BadInput, UnknownName
from apprentice.state.rulebook import Batch, Rule, Rulebook, replay
from apprentice.workspace import Workspace

T = TypeVar("T")
DRAFT: Final = "draft"
SETS: Final = "draft, current, none, a release or a version of the draft (or its beginning)."

Where = Annotated[str, typer.Option(metavar="NAME", help="The environment of the rules.")]


@dataclass(frozen=True)
class TenantRules:
    """A tenant's rules in one environment: draft, releases, quarantine and showings."""

    workspace: Workspace
    store: BaseStore
    tenant: str
    environment: str
    log: RulebookLog
    releases: Releases
    quarantine: Quarantine
    showings: Showings

    async def rules(self, name: str) -> tuple[Rule, ...]:
        """Return the rules of the draft, of a release, or of a version of the draft.

        Raises:
            BadInput: no set of rules has that name, or several have.
        """
        if name == DRAFT:
            return (await self.log.load()).rules
        try:
            release = await self.releases.resolve(name)
        except UnknownName as error:
            versions = {rulebook.version: rulebook.rules for _, rulebook in await self.versions()}
            matches = [
                rules for version, rules in versions.items() if name and version.startswith(name)
            ]
            if len(matches) == 1:
                return matches[0]
            raise BadInput(
                f"{len(matches) or 'No'} versions of the draft begin with {name[:80]!r}, and no "
                "release has that name. `apprentice rules show` lists the releases, `apprentice "
                f"rules history` the versions. Valid names: {SETS}"
            ) from error
        return release.rules if release else ()

    async def versions(self) -> list[tuple[Batch, Rulebook]]:
        """Return every change of the draft with the rulebook after it, the oldest first."""
        return list(replay(await self.log.batches()))

    async def rule(self, begins: str) -> Rule:
        """Return the only rule, active or retired, with this beginning of its id.

        Raises:
            BadInput: no rule has it, or several have.
        """
        matches = await self.rules_with_id(begins)
        if len(matches) != 1:
            raise BadInput(
                f"{len(matches) or 'No'} rules have an id that begins with {begins[:80]!r}. "
                "`apprentice rules show` lists the ids."
            )
        return matches[0]

    async def rules_with_id(self, begins: str) -> list[Rule]:
        """Return the rules, active or retired, with this beginning of their id."""
        draft = await self.log.load()
        return [each for each in (*draft.rules, *draft.retired) if each.id.startswith(begins)]

    async def experience(self) -> Experience | None:
        """Open the memory of attempts; None if there is none or its packages are missing.

        Raises:
            MissingPart: another process has it open.
        """
        there = self.workspace.experiences.exists()
        return await self.workspace.experience(self.tenant) if there else None


def with_rules(
    ctx: typer.Context,
    environment: str,
    tenant_name: str,
    job: Callable[[TenantRules], Awaitable[T]],
) -> T:
    """Open a tenant's rules and run a job with them."""
    workspace = current_workspace(ctx)
    name = workspace.environment(environment).name
    tenant = Context(tenant=tenant_name).tenant

    async def work() -> T:
        async with _open(workspace, tenant, name) as rules:
            return await job(rules)

    return asyncio.run(work())


@asynccontextmanager
async def _open(workspace: Workspace, tenant: str, name: str) -> AsyncIterator[TenantRules]:
    async with workspace.store() as store:
        try:
            yield TenantRules(
                workspace,
                store,
                tenant,
                name,
                RulebookLog(store, tenant, name),
                Releases(store, tenant, name),
                Quarantine(store, tenant, name),
                Showings(store, tenant, name),
            )
        finally:
            await workspace.close()


def render_change(kind: str, before: str | None, after: str | None) -> Text:
    """Return a change of a rule as the lines of a diff."""
    if before == after:
        return Text(f"  {kind:<12} {after}")
    page = Text()
    if before is not None:
        page.append(f"- {kind:<12} {before}", style="red")
    if before is not None and after is not None:
        page.append("\n")
    if after is not None:
        page.append(f"+ {kind:<12} {after}", style="green")
    return page
