"""Taking a trajectory back: it is erased, and what rests on it leaves the rules and the release."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.store.base import BaseStore

from memory.experience import Experience
from memory.findings import erase
from memory.releases import Releases
from memory.rulebook import RulebookLog
from state.errors import UnknownName
from state.nouns import Noun, digest
from state.provenance import Resting, resting_on
from state.releases import release_id
from state.rulebook import Rulebook


class Withdrawn(Noun):
    """What a withdrawal came to.

    Attributes:
        resting: the rules that rested on the trajectories.
        release: id of the release that shows none of those which had no other support; '' when
            the one in force showed none.
        attempts: transcripts that were erased.
    """

    resting: Resting
    release: str = ""
    attempts: int = 0


async def withdraw(
    store: BaseStore,
    tenant: str,
    environment: str,
    trajectories: Sequence[str],
    reason: str,
    experience: Experience | None = None,
) -> Withdrawn:
    """Withdraw trajectories, by their ids; doing it again changes nothing.

    Rules that rest on them alone leave the draft, and the release at once: nobody has to show
    that a poisoned rule hurts. The others lose the votes and are left to the next gate.

    Args:
        store: where the rules and what runs keep are.
        tenant: whose they are.
        environment: the rulebook's.
        trajectories: ids.
        reason: why; it is kept.
        experience: the tenant's memory, which forgets them too.

    Raises:
        UnknownName: if nothing rests on a trajectory and no transcript of it is kept.
    """
    log = RulebookLog(store, tenant, environment)
    batches = await log.batches()
    resting = resting_on(batches, trajectories)
    erased = await erase(store, tenant, environment, trajectories)
    if experience:
        erased |= set(await experience.forget(trajectories))
    known = {name for batch in batches for name in batch.evidence} | erased
    for name in trajectories:
        if name not in known:
            raise UnknownName(f"trajectory of {environment}", name, ())
    run = digest("withdraw", sorted(trajectories))
    await log.record(
        resting.operations(), run=run, evidence=("withdrawn",), author="system", reason=reason
    )
    gone = {rule.id for rule in resting.alone}
    releases = Releases(store, tenant, environment)
    release = await _released_without(gone, releases, run, reason)
    await releases.withdraw(gone, reason or "no reason given")
    return Withdrawn(resting=resting, release=release, attempts=len(erased))


async def _released_without(gone: set[str], releases: Releases, run: str, reason: str) -> str:
    """Put a release without some rules in force; return its id, '' if there was no need."""
    current = await releases.current()
    if current is None or not gone & {rule.id for rule in current.rules}:
        return ""
    rules = tuple(rule for rule in current.rules if rule.id not in gone)
    version = Rulebook(rules=rules).version
    changed = {
        "id": release_id(current.tenant, current.environment, version, run),
        "rulebook": version,
        "rules": rules,
        "run": run,
        "base": current.id,
        "validation": None,
    }
    release = current.model_copy(update=changed)
    await releases.publish(release, author="system", reason=reason)
    return release.id
