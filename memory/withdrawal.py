"""Taking a trajectory back: it is erased, and what rests on it leaves the rules and the release.

First of all its id is marked, and its transcript is erased last. So a withdrawal that was killed
half-way is finished by the same withdrawal again, and one that found a run still learning from
the transcript catches up with what the run wrote.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from langgraph.store.base import BaseStore

from apprentice.memory.experience import Experience
from apprentice.memory.findings import attempts, erase
from apprentice.memory.labels import label
from apprentice.memory.quarantine import Quarantine
from apprentice.memory.reflections import forget, traced_attempts
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.showings import Showings
from apprentice.state.errors import BadInput
from apprentice.state.nouns import SCHEMA_VERSION, Noun, digest
from apprentice.state.provenance import WITHDRAWN, Dependents, cited_trajectories, dependents_of
from apprentice.state.releases import release_id
from apprentice.state.rulebook import Rule, Rulebook

MAX_REASON: Final = 2_000
"""Characters that a reason may have."""
_ALL: Final = 1_000_000_000


class WithdrawalReport(Noun):
    """What a withdrawal came to.

    Attributes:
        resting: what rested on the trajectories, and on those that were withdrawn before.
        release: id of the release that shows none of the wordings which had no other support; ''
            when the one in force showed none.
        unreleased: the rules that it leaves out.
        attempts: transcripts that were erased.
        reflections: lessons on them that were erased.
        stopped: operations in quarantine that were erased.
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
    """Withdraw trajectories, by their ids; again, it does what was left or came since.

    Rules that rest on them alone leave the draft, and the release at once: nobody has to show
    that a poisoned rule hurts. The others lose the votes, and words that only these said for
    them, and are left to the next gate.

    Args:
        store: where the rules and what runs keep are.
        tenant: whose they are.
        environment: the rulebook's.
        trajectories: ids.
        reason: why; it is kept.
        experience: the tenant's memory, which forgets them too.

    Raises:
        BadInput: if nothing is known of one of them, or the reason is too long; then nothing is
            withdrawn.
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
    """Return the ids of all trajectories that were ever withdrawn."""
    namespace = _namespace(tenant, environment)
    items = await store.asearch(namespace, limit=_ALL)
    # Some stores compare prefixes as text, so that "a" also finds "ab".
    return {str(item.value["trajectory"]) for item in items if item.namespace == namespace}


@dataclass(frozen=True)
class _Place:
    """One tenant's rules of one environment, and what was withdrawn there."""

    store: BaseStore
    tenant: str
    environment: str

    async def check(self, names: Sequence[str], experience: Experience | None) -> None:
        """Raise BadInput unless something is known of every trajectory, withdrawn or not."""
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
                f"In {self.environment}, no rule rests on {names_listed}, and no such attempt is "
                "stored. Nothing was withdrawn. `apprentice rules evidence RULE` lists a rule's "
                "attempts."
            )

    async def mark(self, names: Iterable[str], reason: str) -> None:
        """Remember that trajectories are withdrawn, and since when; the first time counts."""
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
        """Take what rests on withdrawn trajectories out of the draft, and out of every release."""
        batches = await self.log.batches()
        dependents = dependents_of(batches, await withdrawn_ids(*self.whose))
        # What the log holds is part of the name: after later words, it is another withdrawal.
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
        """Where everything about the place is kept: the store, and under which names."""
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
    """Put a release without barred rules in force; return its id, and what it leaves out."""
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
