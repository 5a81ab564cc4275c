"""The registry of adapters: the origin, the metrics and the status of each.

An adapter is a folder that PEFT wrote, with a card next to the weights. The registry is the folder
of these folders. Local models look adapters up there, so a registered adapter can be used at once.
A card is always replaced atomically, so a reader never sees a part of one.
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

from apprentice.models.adapter_fit import CARD, base_fingerprint
from apprentice.models.names import LocalModels, plain
from apprentice.state.errors import BadInput, BrokenData, TrainingFailure, UnknownName
from apprentice.training.atomic_files import draft_of, write_over

Status = Literal["candidate", "promoted", "rejected", "retired", "incompatible"]
WEIGHTS: Final = "adapter_model.safetensors"
USABLE: Final = ("candidate", "promoted")


class Adapter(BaseModel):
    """The card of an adapter.

    Attributes:
        name: the name of the adapter and of its folder.
        method: the training method.
        base: plain name of the local model that it was trained on.
        base_fingerprint: hash of that model's files, from `base_fingerprint`.
        parent: the adapter that the training continued from; '' if none.
        dataset: fingerprint of the rows that it learned from.
        job: id of the job that trained it.
        tenant: the tenant whose attempts it learned from; only this tenant may use it. '' for an
            adapter of the operator, which everybody may use.
        code: version of this project that trained it.
        settings: all settings of the job, including the seed.
        metrics: measurements, by name.
        status: whether it may be used.
        reason: why it has this status.
        created: when it was registered, in Unix time.
        changed: when its card last changed, in Unix time.
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
    """One job of a plan that trains an adapter again.

    Attributes:
        adapter: the adapter that the new one replaces.
        tenant: the owner of both; '' for everybody.
        method: the training method.
        dataset: fingerprint of the rows.
        folder: the folder of the dataset at the first training; '' if its job no longer exists.
        settings: the settings of the job. If they name a parent, the previous job of the plan
            replaces it.
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
        """Copy an adapter's files into the registry; if it is already there, return its card.

        Args:
            adapter: the card of the adapter.
            weights: the folder that PEFT wrote.

        Raises:
            BadInput: the registry has a folder of this name without a card.
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
            if (folder / CARD).is_file():  # another process registered it first
                return self.read(adapter.name)
            if folder.is_dir():
                raise BadInput(
                    f"{folder} contains an adapter without a card. Move it away, or choose "
                    "another name."
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
            base: list only adapters of this base; '' for all.
            status: list only adapters with this status; None for all.
            tenant: list only adapters that this tenant may use; None for all, as for the operator.
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
        """Refuse an adapter of another tenant, as if it did not exist. This blocks.

        An adapter has its tenant's data in its weights, so a user of the adapter can read the data.
        An adapter without a card belongs to the operator, and everybody may use it.

        Raises:
            UnknownName: the tenant has no such adapter.
        """
        folder = self._folder(name)
        own = (
            self.read(name).tenant in ("", tenant) if (folder / CARD).is_file() else folder.is_dir()
        )
        if not own:  # the same error as for a missing adapter, since names also reveal tenants
            raise UnknownName("adapter", name, [each.name for each in self.all(tenant=tenant)])

    def check_usable(self, name: str, tenant: str) -> None:
        """Refuse an adapter that a tenant cannot use. This blocks.

        Raises:
            UnknownName: the tenant has no such adapter; it may have been pruned.
            BadInput: the adapter was trained on other weights.
        """
        self.check_owner(name, tenant)
        if (self._folder(name) / CARD).is_file() and not self.fits(adapter := self.read(name)):
            raise BadInput(
                f"Adapter {name!r} was trained on other weights of local:{adapter.base} than the "
                "current ones. Train it again: `apprentice adapters show` shows the commands."
            )

    def has(self, name: str) -> bool:
        """Return whether there is an adapter of that name with a card."""
        return (self.root / name / CARD).is_file()

    def owner(self, name: str) -> str:
        """Return the tenant that owns an adapter; '' if everybody may use it or it is unknown."""
        return self.read(name).tenant if (self._folder(name) / CARD).is_file() else ""

    def fits(self, adapter: Adapter) -> bool:
        """Return whether an adapter was trained on its base's current weights. This blocks."""
        return adapter.base_fingerprint == base_fingerprint(self.models.folder(adapter.base))

    def mark(
        self, name: str, status: Status, reason: str = "", metrics: dict[str, float] | None = None
    ) -> Adapter:
        """Set an adapter's status and its reason, and add metrics.

        Raises:
            BadInput: the adapter should be promoted, but was trained on other weights.
        """
        adapter = self.read(name)
        if status == "promoted" and not self.fits(adapter):
            raise BadInput(
                f"Adapter {name!r} was trained on other weights of local:{adapter.base} than the "
                "current ones. Train it again before you promote it."
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
        """Return an adapter and its ancestors, starting with itself, up to a pruned ancestor."""
        ancestors = [self.read(name)]
        while (parent := ancestors[-1].parent) and (self._folder(parent) / CARD).is_file():
            ancestors.append(self.read(parent))
        return ancestors

    def retraining_plan(self, name: str, jobs: Path) -> list[RetrainingJob]:
        """Return the jobs that train an adapter again on the current weights, in order.

        If the adapter continued from a parent, the parent has to be trained again first.

        Args:
            name: the name of the adapter.
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
        """Mark the adapters that were trained on other weights of a base, and return them.

        `retraining_plan` returns the jobs that train them again.

        Args:
            base: plain name of the local model.
            tenant: mark only adapters that this tenant may use; None for all.
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
        """Delete old adapters that are rejected, retired or incompatible; return their names.

        The ancestors of usable adapters stay, so that their lineage can be read.

        Args:
            base: plain name of the local model.
            keep: the number of unusable adapters that stay, the latest ones.
            active: names of adapters in a current release; they stay like usable ones.
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
            if self._card_of(adapter.name) != adapter:  # it was promoted or pruned in the meantime
                continue
            folder = self._folder(adapter.name)
            draft = draft_of(folder)
            folder.rename(draft)  # atomic: without its card, everybody could use it
            shutil.rmtree(draft)
            removed_names.append(adapter.name)
        return removed_names

    def export_merged(self, name: str, out: Path) -> Path:
        """Merge an adapter into its base, and write the model in the format that vLLM loads.

        Raises:
            BadInput: the folder exists, or the adapter was trained on other weights.
            TrainingFailure: the model cannot be written.
        """
        adapter = self.read(name)
        if out.exists():
            raise BadInput(f"The folder {out} already exists. Choose a new one.")
        if not self.fits(adapter):
            raise BadInput(
                f"Adapter {name!r} was trained on other weights of local:{adapter.base} than the "
                "current ones, so it cannot be merged with them. Train it again."
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
    """Return this project's version and a hash of the training code, such as 0.1.0+1f0c9a2b."""
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
