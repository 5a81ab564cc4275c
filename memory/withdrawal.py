"""Withdraw a trajectory: erase it, and remove the rules that depend on it.

The id is marked first, and the transcript is erased last. If a withdrawal is killed, the same
withdrawal finishes it. If a run was still learning from the transcript, a second withdrawal
removes what that run wrote.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from langgraph.store.base import BaseStore

from apprentice.memory.experience import Experience
from apprentice.memory.namespace_labels import label
from apprentice.memory.quarantine import Quarantine
from apprentice.memory.reflections import forget, traced_attempts
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.run_results import attempts, erase
from apprentice.memory.showings import Showings
from apprentice.state.errors import BadInput
from apprentice.state.provenance import WITHDRAWN, Dependents, cited_trajectories, dependents_of
from apprentice.state.releases import release_id
from apprentice.state.rulebook import Rule, Rulebook
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, digest

MAX_REASON: Final = 2_000
"""Characters that a reason may have."""
_ALL: Final = 1_000_000_000


class WithdrawalReport(FrozenModel):
    """The result of a withdrawal.

    Attributes:
        dependents: what depended on these trajectories and on those withdrawn earlier.
        release: id of the new release, which shows no rule text without other support; '' when
            the release in force showed none.
        rules_left_out: the rules that the new release leaves out.
        attempts: number of erased transcripts.
        reflections: number of erased reflections.
        quarantined_operations: number of erased operations in quarantine.
    """

    dependents: Dependents
    release: str = ""
    rules_left_out: tuple[Rule, ...] = ()
    attempts: int = 0
    reflections: int = 0
    quarantined_operations: int = 0


async def withdraw(
    store: BaseStore,
    tenant: str,
    environment: str,
    trajectories: Sequence[str],
    reason: str,
    experience: Experience | None = None,
) -> WithdrawalReport:
    """Withdraw trajectories, by their ids. A second call does what is left to do.

    A rule that only these trajectories support leaves the draft and the release at once. Nobody
    has to show that a poisoned rule does harm. Other rules lose these votes and the texts that
    only these trajectories support. The next gate decides on them.

    Args:
        store: the store with the rules and the findings of runs.
        tenant: whose rules these are.
        environment: the rulebook's name.
        trajectories: the ids.
        reason: why; it is stored.
        experience: the tenant's experience memory, from which they are erased too.

    Raises:
        BadInput: if an id is unknown, or the reason is too long. Nothing is withdrawn then.
    """
    if len(reason) > MAX_REASON:
        raise BadInput(
            f"The reason has {len(reason)} characters, but may have {MAX_REASON}. Shorten it; "
            "nothing was withdrawn."
        )
    names = sorted(set(trajectories))
    at = _Place(store, tenant, environment)
    await at.check(names, experience)
    await at.mark(names, reason)
    report = await at.unlearn(names, reason)
    operations = await Quarantine(store, tenant, environment).forget(names)
    await Showings(store, tenant, environment).forget(names)
    reflections = await forget(store, tenant, environment, names)
    erased_ids = await erase(store, tenant, environment, names)
    if experience:
        erased_ids |= set(await experience.forget(names))
    return report.model_copy(
        update={
            "quarantined_operations": operations,
            "reflections": reflections,
            "attempts": len(erased_ids),
        }
    )


async def withdrawn_ids(store: BaseStore, tenant: str, environment: str) -> set[str]:
    """Return the ids of all withdrawn trajectories."""
    namespace = _namespace(tenant, environment)
    items = await store.asearch(namespace, limit=_ALL)
    # Some stores compare prefixes as text: a search for "a" also returns "ab".
    return {str(item.value["trajectory"]) for item in items if item.namespace == namespace}


@dataclass(frozen=True)
class _Place:
    """One tenant's rules of one environment, and the withdrawals there."""

    store: BaseStore
    tenant: str
    environment: str

    async def check(self, names: Sequence[str], experience: Experience | None) -> None:
        """Raise BadInput unless every trajectory is known, withdrawn or not."""
        ids = await withdrawn_ids(*self.whose) | await traced_attempts(*self.whose)
        ids |= cited_trajectories(await self.log.batches())
        ids |= {name for each in await Quarantine(*self.whose).all() for name in each.evidence}
        ids |= (await attempts(*self.whose, names)).keys()
        unknown = [name for name in names if name not in ids]
        if experience:
            unknown = [name for name in unknown if await experience.get(name) is None]
        if unknown:
            names_listed = ", ".join(repr(name[:80]) for name in unknown[:5])
            raise BadInput(
                f"In {self.environment}, no rule depends on {names_listed}, and no such attempt is "
                "stored. Nothing was withdrawn. `apprentice rules evidence RULE` lists a rule's "
                "attempts."
            )

    async def mark(self, names: Iterable[str], reason: str) -> None:
        """Mark trajectories as withdrawn. The first reason and time are kept."""
        namespace = _namespace(self.tenant, self.environment)
        for name in names:
            if await self.store.aget(namespace, digest(name)) is None:
                value = {
                    "schema_version": SCHEMA_VERSION,
                    "trajectory": name,
                    "reason": reason,
                    "time": time.time(),
                }
                await self.store.aput(namespace, digest(name), value, index=False)

    async def unlearn(self, names: Sequence[str], reason: str) -> WithdrawalReport:
        """Remove what depends on withdrawn trajectories from the draft and from every release."""
        batches = await self.log.batches()
        dependents = dependents_of(batches, await withdrawn_ids(*self.whose))
        # The last batch is part of the name: once the log has grown, this is a new withdrawal.
        run = digest("withdraw", names, batches[-1].key if batches else "")
        await self.log.record(
            dependents.operations(), run=run, evidence=(WITHDRAWN,), author="system", reason=reason
        )
        releases = Releases(*self.whose)
        release, rules_left_out = await _released_without(dependents, releases, run, reason)
        await releases.withdraw(dependents.bars, reason or "no reason given")
        return WithdrawalReport(
            dependents=dependents, release=release, rules_left_out=rules_left_out
        )

    @property
    def whose(self) -> tuple[BaseStore, str, str]:
        """The store, the tenant and the environment: the arguments of every collection here."""
        return self.store, self.tenant, self.environment

    @property
    def log(self) -> RulebookLog:
        """The rulebook's log."""
        return RulebookLog(*self.whose)


def _namespace(tenant: str, environment: str) -> tuple[str, ...]:
    return ("withdrawn", label(tenant), label(environment))


async def _released_without(
    dependents: Dependents, releases: Releases, run: str, reason: str
) -> tuple[str, tuple[Rule, ...]]:
    """Release the rules that are not barred; return the release's id and the barred rules."""
    current = await releases.current()
    barred_rules = tuple(rule for rule in current.rules if dependents.bars(rule)) if current else ()
    if current is None or not barred_rules:
        return "", ()
    rules = tuple(rule for rule in current.rules if rule not in barred_rules)
    version = Rulebook(rules=rules).version
    changes = {
        "id": release_id(current.tenant, current.environment, version, run),
        "rulebook": version,
        "rules": rules,
        "run": run,
        "base": current.id,
        "validation": None,
        "withdrawn": "",
    }
    release = current.model_copy(update=changes)
    await releases.publish(release, author="system", reason=reason)
    return release.id, barred_rules
