"""One tenant's rules of one environment, opened for the commands of `apprentice rules`."""

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
from apprentice.memory.experience.opening import installed
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
SETS: Final = "draft, current, none, a release, or a version of the draft; how one begins will do."

Memory = Annotated[str, typer.Option(metavar="NAME", help="Whose rules: the tenant.")]
Where = Annotated[str, typer.Option(metavar="NAME", help="The environment that the rules are for.")]


@dataclass(frozen=True)
class Book:
    """One tenant's rules of one environment, opened."""

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
            BadInput: there is none of that name, or several.
        """
        if name == DRAFT:
            return (await self.log.load()).rules
        try:
            release = await self.releases.chosen(name)
        except UnknownName as error:
            books = {book.version: book.rules for _, book in await self.versions()}
            found = [rules for version, rules in books.items() if name and version.startswith(name)]
            if len(found) == 1:
                return found[0]
            raise BadInput(
                f"{len(found) or 'No'} versions of the draft begin with {name[:80]!r}, and no "
                "release is named so. `apprentice rules show` lists the releases, `apprentice "
                f"rules history` the versions. Or name: {SETS}"
            ) from error
        return release.rules if release else ()

    async def versions(self) -> list[tuple[Batch, Rulebook]]:
        """Return every change of the draft, the oldest first, with what it led to."""
        return list(replay(await self.log.batches()))

    async def rule(self, begins: str) -> Rule:
        """Return the one rule, in force or retired, whose id begins so."""
        found = await self.named(begins)
        if len(found) != 1:
            raise BadInput(
                f"{len(found) or 'No'} rules have an id that begins with {begins[:80]!r}. "
                "`apprentice rules show` lists the ids."
            )
        return found[0]

    async def named(self, begins: str) -> list[Rule]:
        """Return the rules, in force or retired, whose id begins so."""
        draft = await self.log.load()
        return [each for each in (*draft.rules, *draft.retired) if each.id.startswith(begins)]

    async def experience(self) -> Experience | None:
        """Open the memory of attempts; None where there is none, or its packages are missing.

        Raises:
            MissingPart: if another process has it open.
        """
        there = installed() and self.workspace.experiences.begun()
        return await self.workspace.experience(self.tenant) if there else None


def with_book(
    ctx: typer.Context, environment: str, memory: str, job: Callable[[Book], Awaitable[T]]
) -> T:
    """Open a book, and do a job with it."""
    workspace = current_workspace(ctx)
    name = workspace.environment(environment).name
    tenant = Context(tenant=memory).tenant

    async def done() -> T:
        async with _opened(workspace, tenant, name) as book:
            return await job(book)

    return asyncio.run(done())


@asynccontextmanager
async def _opened(workspace: Workspace, tenant: str, name: str) -> AsyncIterator[Book]:
    async with workspace.store() as kept:
        try:
            yield Book(
                workspace,
                kept,
                tenant,
                name,
                RulebookLog(kept, tenant, name),
                Releases(kept, tenant, name),
                Quarantine(kept, tenant, name),
                Showings(kept, tenant, name),
            )
        finally:
            await workspace.close()


def changed(kind: str, before: str | None, after: str | None) -> Text:
    """Render a change of a rule as a diff does."""
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
