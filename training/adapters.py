"""The adapters on this machine: where each comes from, how it fared, and whether it may be used.

An adapter is a folder that PEFT wrote, with a card beside the weights. The registry is the folder
of such folders that local models look adapters up in, so what is registered can be asked for at
once. Cards are replaced whole; a reader never sees half of one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Collection, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from apprentice.models.fit import CARD, base_fingerprint
from apprentice.models.names import LocalModels, plain
from apprentice.state.errors import BadInput, BrokenData, TrainingFailure, UnknownName
from apprentice.training.whole import draft_of, write_over

Status = Literal["candidate", "promoted", "rejected", "retired", "incompatible"]
WEIGHTS: Final = "adapter_model.safetensors"
USABLE: Final = ("candidate", "promoted")


class Adapter(BaseModel):
    """What is known of an adapter.

    Attributes:
        base: plain name of the local model it was trained on.
        base_fingerprint: that model's files, as `base_fingerprint` hashes them.
        parent: the adapter that training went on from, if any.
        dataset: fingerprint of the rows it learned from.
        code: version of this project that trained it.
        settings: all that the job was told, the seed included.
        metrics: what was measured, by name.
        tenant: whose attempts it learned from, and who alone may use it; '' for the operator's own,
            which is everybody's.
        status: whether it may be used; `reason` says why it has that status.
        created: Unix time in seconds, as is `changed`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    method: str
    base: str
    base_fingerprint: str
    parent: str = ""
    dataset: str = ""
    job: str = ""
    tenant: str = ""
    code: str = ""
    settings: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    status: Status = "candidate"
    reason: str = ""
    created: float = 0.0
    changed: float = 0.0


class RetrainingJob(BaseModel):
    """One job of the plan that trains an adapter anew.

    Attributes:
        adapter: which one it takes the place of.
        tenant: whose it is, and the new one has to be; '' for everybody's.
        method: that it is trained by.
        dataset: fingerprint of the rows.
        folder: where they were when it was trained; '' where its job is gone.
        settings: of the job; a parent in them is the one that the job before makes anew.
    """

    model_config = ConfigDict(frozen=True)

    adapter: str
    tenant: str
    method: str
    dataset: str
    folder: str
    settings: dict[str, Any]


class Adapters:
    """The registry of one workspace.

    Args:
        models: the local models, whose folder of adapters is the registry.
    """

    def __init__(self, models: LocalModels) -> None:
        self.models = models
        self.root = models.adapters

    def register(self, adapter: Adapter, weights: Path) -> Adapter:
        """Copy an adapter's files into the registry under its name; twice is once.

        Args:
            adapter: its card.
            weights: the folder that PEFT wrote.
        """
        folder = self._folder(adapter.name)
        if (folder / CARD).is_file():
            return self.read(adapter.name)
        card_now = adapter.model_copy(update={"created": time.time(), "changed": time.time()})
        draft = draft_of(folder)
        try:
            shutil.copytree(weights, draft)
            (draft / CARD).write_text(card_now.model_dump_json(indent=2))
            draft.rename(folder)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if (folder / CARD).is_file():  # another registered it first
                return self.read(adapter.name)
            if folder.is_dir():
                raise BadInput(
                    f"{folder} holds an adapter without a card. Move it away, or choose another "
                    "name."
                ) from None
            raise
        return card_now

    def read(self, name: str) -> Adapter:
        """Return an adapter's card.

        Raises:
            UnknownName: there is no such adapter in the registry.
            BrokenData: its card cannot be read.
        """
        card = self._folder(name) / CARD
        if not card.is_file():
            raise UnknownName("adapter", name, [adapter.name for adapter in self.all()])
        try:
            return Adapter.model_validate_json(card.read_text())
        except ValidationError as error:
            raise BrokenData(
                f"The card of adapter {name!r} cannot be read ({error.errors()[0]['msg']}). "
                f"Repair {card}, or delete its folder."
            ) from None

    def all(
        self, base: str = "", status: Status | None = None, tenant: str | None = None
    ) -> list[Adapter]:
        """List the adapters, the oldest first.

        Args:
            base: of one base only.
            status: with one status only.
            tenant: only those that this tenant may use; None for everybody's, as the operator sees.
        """
        matches = [
            adapter
            for name in self._names()
            if (adapter := self._card_of(name))
            and base in ("", adapter.base)
            and status in (None, adapter.status)
            and (tenant is None or adapter.tenant in ("", tenant))
        ]
        return sorted(matches, key=lambda adapter: (adapter.created, adapter.name))

    def check_owner(self, name: str, tenant: str) -> None:
        """Refuse an adapter that is another tenant's, as if there were none of that name; blocks.

        An adapter has its tenant's data in its weights, so who may use the one may read the other.
        One without a card was put there by the operator, for everybody.

        Raises:
            UnknownName: the tenant has no such adapter.
        """
        folder = self._folder(name)
        own = (
            self.read(name).tenant in ("", tenant) if (folder / CARD).is_file() else folder.is_dir()
        )
        if not own:  # the same words for one that is not there: names tell of other tenants too
            raise UnknownName("adapter", name, [each.name for each in self.all(tenant=tenant)])

    def check_usable(self, name: str, tenant: str) -> None:
        """Refuse an adapter that cannot act for a tenant; blocks.

        Raises:
            UnknownName: the tenant has none of that name; it may have been pruned.
            BadInput: it was trained on other weights.
        """
        self.check_owner(name, tenant)
        if (self._folder(name) / CARD).is_file() and not self.fits(adapter := self.read(name)):
            raise BadInput(
                f"Adapter {name!r} was trained on other weights of local:{adapter.base} than the "
                "ones in place. Train it anew: `apprentice adapters show` tells how."
            )

    def has(self, name: str) -> bool:
        """Tell whether there is an adapter of that name, with its card."""
        return (self.root / name / CARD).is_file()

    def owner(self, name: str) -> str:
        """Return the tenant whose adapter it is; '' where it is everybody's, or unknown."""
        return self.read(name).tenant if (self._folder(name) / CARD).is_file() else ""

    def fits(self, adapter: Adapter) -> bool:
        """Tell whether an adapter's base has the weights that it was trained on; blocks."""
        return adapter.base_fingerprint == base_fingerprint(self.models.folder(adapter.base))

    def mark(
        self, name: str, status: Status, reason: str = "", metrics: dict[str, float] | None = None
    ) -> Adapter:
        """Give an adapter a status, with the reason, and add what was measured of it.

        Raises:
            BadInput: an incompatible adapter is to be promoted.
        """
        adapter = self.read(name)
        if status == "promoted" and not self.fits(adapter):
            raise BadInput(
                f"Adapter {name!r} was trained on other weights of local:{adapter.base} than the "
                "ones in place. Train it anew before you promote it."
            )
        new_card = adapter.model_copy(
            update={
                "status": status,
                "reason": reason,
                "metrics": adapter.metrics | (metrics or {}),
                "changed": time.time(),
            }
        )
        self._write(new_card)
        return new_card

    def lineage(self, name: str) -> list[Adapter]:
        """Return an adapter and its ancestors, itself first; a pruned ancestor ends the list."""
        ancestors = [self.read(name)]
        while (parent := ancestors[-1].parent) and (self._folder(parent) / CARD).is_file():
            ancestors.append(self.read(parent))
        return ancestors

    def retraining_plan(self, name: str, jobs: Path) -> list[RetrainingJob]:
        """Return the jobs that train an adapter anew on the weights in place, in their order.

        An adapter that went on from another one needs that one first: its weights changed, too.

        Args:
            name: the adapter's.
            jobs: the folder of the jobs.
        """
        return [
            RetrainingJob(
                adapter=each.name,
                tenant=each.tenant,
                method=each.method,
                dataset=each.dataset,
                folder=_dataset_of(jobs / each.job / "job.json"),
                settings=each.settings,
            )
            for each in reversed(self.lineage(name))
        ]

    def mark_incompatible(self, base: str, tenant: str | None = None) -> list[Adapter]:
        """Mark the adapters that were trained on other weights than a base has now; return them.

        `retraining_plan` says what trains each anew.

        Args:
            base: plain name of the local model.
            tenant: only those that this tenant may use; None for everybody's.
        """
        now = base_fingerprint(self.models.folder(base))
        stale = [
            adapter
            for adapter in self.all(base, tenant=tenant)
            if adapter.base_fingerprint != now and adapter.status != "incompatible"
        ]
        reason = f"The weights of local:{base} have changed since it was trained."
        return [self.mark(adapter.name, "incompatible", reason) for adapter in stale]

    def prune(self, base: str, keep: int = 3, active: Collection[str] = ()) -> list[str]:
        """Delete the rejected, retired and incompatible adapters, but for the latest; name them.

        What a usable adapter descends from is kept, so that its lineage can be read.

        Args:
            base: plain name of the local model.
            keep: how many of those that may go are kept.
            active: names of those that are in force somewhere; they are kept like usable ones.
        """
        candidates = self.all(base)
        kept_names = {
            ancestor.name
            for adapter in candidates
            if adapter.status in USABLE or adapter.name in active
            for ancestor in self.lineage(adapter.name)
        }
        idle = [adapter for adapter in candidates if adapter.name not in kept_names]
        removed_names = []
        for adapter in idle[:-keep] if keep else idle:
            if self._card_of(adapter.name) != adapter:  # promoted meanwhile, or pruned
                continue
            folder = self._folder(adapter.name)
            draft = draft_of(folder)
            folder.rename(draft)  # whole or not there: without its card it would be everybody's
            shutil.rmtree(draft)
            removed_names.append(adapter.name)
        return removed_names

    def export_merged(self, name: str, out: Path) -> Path:
        """Write the base with an adapter merged in, as vLLM and others load it; return the folder.

        Raises:
            BadInput: the folder exists, or the adapter was trained on other weights.
        """
        adapter = self.read(name)
        if out.exists():
            raise BadInput(f"{out} exists. Name a folder that does not.")
        if not self.fits(adapter):
            raise BadInput(
                f"Adapter {name!r} was trained on other weights of local:{adapter.base} than the "
                "ones in place, so it cannot be merged with them. Train it anew."
            )
        from apprentice.training.base import merge

        draft = out.with_name(f".{out.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            merge(
                self.models.folder(adapter.base),
                self._folder(name),
                draft,
                sees=adapter.method == "vision",
            )
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise TrainingFailure(
                f"The merged model cannot be written to {out}: {error}."
            ) from error
        (draft / "merged.json").write_text(adapter.model_dump_json(indent=2))
        draft.rename(out)
        return out

    def _folder(self, name: str) -> Path:
        return self.root / plain("adapter", name)

    def _card_of(self, name: str) -> Adapter | None:
        """Return an adapter's card; None where it was pruned meanwhile."""
        try:
            return self.read(name)
        except (UnknownName, FileNotFoundError):
            return None

    def _names(self) -> Iterator[str]:
        for card in self.root.glob(f"*/{CARD}"):
            if not card.parent.name.startswith("."):
                yield card.parent.name

    def _write(self, adapter: Adapter) -> None:
        write_over(self._folder(adapter.name) / CARD, json.dumps(adapter.model_dump(), indent=2))


@cache
def code_version() -> str:
    """Return this project's version and a hash of what trains, such as 0.1.0+1f0c9a2b."""
    try:
        number = version("apprentice-agents")
    except PackageNotFoundError:
        number = "0"
    digest_of_code = hashlib.blake2b(digest_size=4)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest_of_code.update(file.read_bytes())
    return f"{number}+{digest_of_code.hexdigest()}"


def _dataset_of(job: Path) -> str:
    return str(json.loads(job.read_text())["dataset"]) if job.is_file() else ""
