"""Environments by name: those that ship, and those that installed packages provide.

A name is all that a caller ever gives. `household/<world>/<size>` is a generated household
(`household` alone is `household/north/small`), `alfworld` the real games, `toolcalls/<domain>`
function calling (`toolcalls` all domains), `qa/<dataset>` questions and `chat/<dataset>` open tasks
from the folder of tasks. A package adds its own with an entry
point in the group `apprentice.environments`: a callable that returns an `Environment`, asked for
as `<entry>` or `<entry>/<argument>/…`, its arguments passed as strings.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from apprentice.environments.chat import Chat
from apprentice.environments.datasets import offered
from apprentice.environments.household import Household
from apprentice.environments.household.rooms import SIZES
from apprentice.environments.household.world import NAMED
from apprentice.environments.protocol import Environment
from apprentice.environments.qa import Qa
from apprentice.environments.toolcalls.domains import DOMAINS
from apprentice.state.errors import BadInput, MissingPart, UnknownName

GROUP: Final = "apprentice.environments"
DATASETS: Final = ("chat", "qa")
_HOUSEHOLD: Final = ("north", "small")  # world and size when a name leaves them out
_REMEMBERED: Final = 256  # environments are small, but names like household/w17/small are endless


class Provider(Protocol):
    """What an installed package offers: an entry point, or whatever else loads a factory."""

    @property
    def name(self) -> str:
        """Return the first part of the names of its environments."""

    @property
    def value(self) -> str:
        """Return where it is, for errors."""

    def load(self) -> Any:
        """Return the callable that makes the environment."""


@dataclass(frozen=True)
class Provided:
    """An environment that code offers, in the place of a package's entry point."""

    name: str
    make: Callable[..., Environment]
    value: str = "code of your own"

    def load(self) -> Callable[..., Environment]:
        """Return the callable that makes the environment."""
        return self.make


def installed() -> Iterable[Provider]:
    """Return what installed packages offer."""
    return entry_points(group=GROUP)


class Environments:
    """The environments of one workspace.

    Args:
        tasks: the folder of datasets, `qa/<name>.jsonl` and `chat/<name>.jsonl`; None for none.
        alfworld: the folder of the ALFWorld games; their usual place when None.
        own: further environments, each by what makes it; they are asked for as entry points are.
        providers: what packages offer, looked up whenever a name is.
    """

    def __init__(
        self,
        tasks: Path | None = None,
        alfworld: Path | None = None,
        own: Mapping[str, Callable[..., Environment]] | None = None,
        providers: Callable[[], Iterable[Provider]] = installed,
    ) -> None:
        self.tasks = tasks
        self.alfworld = alfworld
        self._own = [Provided(name, make) for name, make in (own or {}).items()]
        self._providers = providers
        self._made: OrderedDict[str, Environment] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> Environment:
        """Return the environment of a name; the same name gives the same object.

        Raises:
            UnknownName: if there is no such environment; names the nearest one.
            BrokenData: if a dataset's lines cannot be read.
            BadInput: if an entry point does not take the arguments in the name.
            MissingPart: if an entry point cannot be loaded or gives something else.
        """
        with self._lock:
            if name in self._made:
                self._made.move_to_end(name)
                return self._made[name]
        made = self._make(name)
        with self._lock:
            made = self._made.setdefault(name, made)  # another thread may have been quicker
            while len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        return made

    def known(self) -> tuple[str, ...]:
        """List the names that exist, sorted; entry points appear without arguments."""
        households = {f"household/{world}/{size}" for world in NAMED for size in SIZES}
        datasets = {name for kind in DATASETS for name in offered(self.tasks, kind)}
        provided = set(self._provided())
        toolcalls = {"toolcalls", *(f"toolcalls/{domain}" for domain in DOMAINS)}
        return tuple(
            sorted({"alfworld", "household", *households, *toolcalls, *datasets, *provided})
        )

    def covered(self, name: str) -> list[str]:
        """List an environment and those beneath it; blocks on files."""
        return sorted({name, *(each for each in self.known() if covers(name, each))})

    def _provided(self) -> dict[str, Provider]:
        return {point.name: point for point in (*self._providers(), *self._own)}

    def _make(self, name: str) -> Environment:
        first, *rest = name.split("/")
        if first == "household" and len(rest) <= len(_HOUSEHOLD):
            return _household(*rest, *_HOUSEHOLD[len(rest) :])
        if name == "alfworld":
            # Imported when asked for, as an entry point's module is.
            from apprentice.environments.alfworld import Alfworld

            return Alfworld(self.alfworld)
        if first == "toolcalls" and len(rest) <= 1:
            from apprentice.environments.toolcalls.environment import Toolcalls

            return Toolcalls(*rest)
        if first in DATASETS and len(rest) == 1:
            return Qa(rest[0], self.tasks) if first == "qa" else Chat(rest[0], self.tasks)
        provided = self._provided()
        if first not in provided:
            raise UnknownName("environment", name, self.known())
        return _provided(provided[first], rest)


def covers(environment: str, name: str) -> bool:
    """Tell whether an environment is the one that is meant, or beneath it."""
    return name == environment or name.startswith(f"{environment}/")


@lru_cache(maxsize=_REMEMBERED)
def _household(world: str, size: str) -> Household:
    return Household(world, size)


def _provided(point: Provider, arguments: list[str]) -> Environment:
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise MissingPart(
            f"The environment {point.name!r} is provided by {point.value}, which cannot be "
            f"loaded ({error}). Install or repair the package that provides it."
        ) from error
    try:
        inspect.signature(factory).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"The environment {point.name!r} does not take the arguments {arguments} ({error})."
        ) from error
    made = factory(*arguments)
    if not isinstance(made, Environment):
        raise MissingPart(
            f"The entry point {point.name!r} ({point.value}) gives a {type(made).__name__}, not "
            "an Environment. See environments/protocol.py for what it has to offer."
        )
    return made
