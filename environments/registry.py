"""Environments by name: those that ship, and those that installed packages provide.

A name is all that a caller ever gives. `household/<world>/<size>` is a generated household
(`household` alone is `household/north/small`), `alfworld` the real games, `toolcalls/<domain>`
function calling (`toolcalls` all domains), `qa/<dataset>` questions and `chat/<dataset>` open tasks
from the server's own files. A package adds its own with an entry
point in the group `apprentice.environments`: a callable that returns an `Environment`, asked for
as `<entry>` or `<entry>/<argument>/…`, its arguments passed as strings.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

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
_KEPT: Final = 256  # environments are small, but names like household/w17/small are endless


@lru_cache(maxsize=_KEPT)
def environment(name: str) -> Environment:
    """Return the environment of a name; the same name gives the same object.

    Raises:
        UnknownName: if there is no such environment; names the nearest one.
        BrokenData: if a dataset's lines cannot be read.
        BadInput: if an entry point does not take the arguments in the name.
        MissingPart: if an entry point cannot be loaded or gives something else.
    """
    first, *rest = name.split("/")
    if first == "household" and len(rest) <= len(_HOUSEHOLD):
        return _household(*rest, *_HOUSEHOLD[len(rest) :])
    if name == "alfworld":
        # Imported when asked for, as an entry point's module is.
        from apprentice.environments.alfworld import Alfworld

        return Alfworld()
    if first == "toolcalls" and len(rest) <= 1:
        from apprentice.environments.toolcalls.environment import Toolcalls

        return Toolcalls(*rest)
    if first in DATASETS and len(rest) == 1:
        return _dataset(first, rest[0])
    provided = {point.name: point for point in entry_points(group=GROUP)}
    if first not in provided:
        raise UnknownName("environment", name, known())
    return _provided(provided[first], rest)


def known() -> tuple[str, ...]:
    """List the names that exist, sorted; entry points appear without arguments."""
    households = {f"household/{world}/{size}" for world in NAMED for size in SIZES}
    datasets = {name for kind in DATASETS for name in offered(kind)}
    provided = {point.name for point in entry_points(group=GROUP)}
    toolcalls = {"toolcalls", *(f"toolcalls/{domain}" for domain in DOMAINS)}
    return tuple(sorted({"alfworld", "household", *households, *toolcalls, *datasets, *provided}))


@lru_cache(maxsize=_KEPT)
def _household(world: str, size: str) -> Household:
    return Household(world, size)


def _dataset(kind: str, name: str) -> Environment:
    return Qa(name) if kind == "qa" else Chat(name)


def _provided(point: EntryPoint, arguments: list[str]) -> Environment:
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
