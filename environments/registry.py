"""Environments by name: the built-in ones and those of installed packages.

`household/<world>/<size>` is a generated household (`household` alone is `household/north/small`).
`alfworld` is the real games. `toolcalls/<domain>` is function calling (`toolcalls` alone has all
domains). `qa/<dataset>` has questions and `chat/<dataset>` has open tasks, both from the folder of
tasks. A package adds an environment with an entry point in the group `apprentice.environments`: a
callable that returns an `Environment`. Its name is `<entry>` or `<entry>/<argument>/…`, and the
callable gets the arguments as strings.
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
from apprentice.environments.datasets import dataset_names
from apprentice.environments.household import Household
from apprentice.environments.household.rooms import SIZES
from apprentice.environments.household.world import NAMED
from apprentice.environments.protocol import Environment
from apprentice.environments.qa import Qa
from apprentice.environments.toolcalls.domains import DOMAINS
from apprentice.state.errors import BadInput, MissingPart, UnknownName

GROUP: Final = "apprentice.environments"
DATASETS: Final = ("chat", "qa")
_HOUSEHOLD: Final = ("north", "small")  # world and size if a name omits them
_CACHE_SIZE: Final = 256  # environments are small, but there is no end of names like household/w17


class Provider(Protocol):
    """A source of an environment: an entry point, or another object that loads a factory."""

    @property
    def name(self) -> str:
        """Return the first part of the environments' names."""

    @property
    def value(self) -> str:
        """Return where the factory comes from; error messages quote it."""

    def load(self) -> Any:
        """Return the callable that makes the environment."""


@dataclass(frozen=True)
class FactoryProvider:
    """A provider whose factory comes from code, not from a package's entry point."""

    name: str
    make: Callable[..., Environment]
    value: str = "code of your own"

    def load(self) -> Callable[..., Environment]:
        """Return the callable that makes the environment."""
        return self.make


def installed_providers() -> Iterable[Provider]:
    """Return the providers of all installed packages."""
    return entry_points(group=GROUP)


class Environments:
    """The environments of one workspace.

    Args:
        tasks: the folder of datasets, `qa/<name>.jsonl` and `chat/<name>.jsonl`; None if there
            are no datasets.
        alfworld: the folder of the ALFWorld games; None for the default of alfworld-download.
        own: name -> factory of a further environment. Its names work like those of entry points.
        providers: a function that returns the providers of packages; each look-up calls it.
    """

    def __init__(
        self,
        tasks: Path | None = None,
        alfworld: Path | None = None,
        own: Mapping[str, Callable[..., Environment]] | None = None,
        providers: Callable[[], Iterable[Provider]] = installed_providers,
    ) -> None:
        self.tasks = tasks
        self.alfworld = alfworld
        self._own = [FactoryProvider(name, make) for name, make in (own or {}).items()]
        self._providers = providers
        self._cache: OrderedDict[str, Environment] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> Environment:
        """Return the environment of a name; the same name always gives the same object.

        Raises:
            UnknownName: if there is no such environment; the message names the nearest one.
            BrokenData: if a dataset has lines that cannot be read.
            BadInput: if a factory does not accept the arguments in the name.
            MissingPart: if a factory cannot be loaded or does not return an `Environment`.
        """
        with self._lock:
            if name in self._cache:
                self._cache.move_to_end(name)
                return self._cache[name]
        environment = self._make(name)
        with self._lock:
            # Another thread may have stored one of the same name first.
            environment = self._cache.setdefault(name, environment)
            while len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        return environment

    def names(self) -> tuple[str, ...]:
        """List all names, sorted; entry points appear without arguments."""
        households = {f"household/{world}/{size}" for world in NAMED for size in SIZES}
        datasets = {name for kind in DATASETS for name in dataset_names(self.tasks, kind)}
        providers = set(self._providers_by_name())
        toolcalls = {"toolcalls", *(f"toolcalls/{domain}" for domain in DOMAINS)}
        return tuple(
            sorted({"alfworld", "household", *households, *toolcalls, *datasets, *providers})
        )

    def names_below(self, name: str) -> list[str]:
        """List an environment and those whose names begin with its name; this reads files."""
        return sorted({name, *(each for each in self.names() if covers(name, each))})

    def _providers_by_name(self) -> dict[str, Provider]:
        return {point.name: point for point in (*self._providers(), *self._own)}

    def _make(self, name: str) -> Environment:
        first, *rest = name.split("/")
        if first == "household" and len(rest) <= len(_HOUSEHOLD):
            return _household(*rest, *_HOUSEHOLD[len(rest) :])
        if name == "alfworld":
            # Only a caller that needs the games imports their module.
            from apprentice.environments.alfworld import Alfworld

            return Alfworld(self.alfworld)
        if first == "toolcalls" and len(rest) <= 1:
            from apprentice.environments.toolcalls.environment import Toolcalls

            return Toolcalls(*rest)
        if first in DATASETS and len(rest) == 1:
            return Qa(rest[0], self.tasks) if first == "qa" else Chat(rest[0], self.tasks)
        providers = self._providers_by_name()
        if first not in providers:
            raise UnknownName("environment", name, self.names())
        return _call(providers[first], rest)


def covers(environment: str, name: str) -> bool:
    """Return whether a name is that of an environment or begins with it, followed by a slash."""
    return name == environment or name.startswith(f"{environment}/")


@lru_cache(maxsize=_CACHE_SIZE)
def _household(world: str, size: str) -> Household:
    return Household(world, size)


def _call(point: Provider, arguments: list[str]) -> Environment:
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
    environment = factory(*arguments)
    if not isinstance(environment, Environment):
        raise MissingPart(
            f"The entry point {point.name!r} ({point.value}) gives a {type(environment).__name__}, "
            "not an Environment. Implement the protocol in environments/protocol.py."
        )
    return environment
