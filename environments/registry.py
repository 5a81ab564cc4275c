"""Environments by name: those that ship, and those that installed packages provide.

A name is all that a caller ever gives. `household/<world>/<size>` is a generated household
(`household` alone is `household/north/small`), `alfworld` the real games. A package adds its own
with an entry point in the group `apprentice.environments`: a callable that returns an
`Environment`, asked for as `<entry>` or `<entry>/<argument>/…`, its arguments passed as strings.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from environments.household import Household
from environments.household.rooms import SIZES
from environments.household.world import NAMED
from environments.protocol import Environment
from state.errors import BadInput, MissingPart, UnknownName

GROUP: Final = "apprentice.environments"
_HOUSEHOLD: Final = ("north", "small")  # world and size when a name leaves them out
_KEPT: Final = 256  # environments are small, but names like household/w17/small are endless


@lru_cache(maxsize=_KEPT)
def environment(name: str) -> Environment:
    """Return the environment of a name; the same name gives the same object.

    Raises:
        UnknownName: if there is no such environment; names the nearest one.
        BadInput: if an entry point does not take the arguments in the name.
        MissingPart: if an entry point cannot be loaded or gives something else.
    """
    first, *rest = name.split("/")
    if first == "household" and len(rest) <= len(_HOUSEHOLD):
        return _household(*rest, *_HOUSEHOLD[len(rest) :])
    if name == "alfworld":
        # Imported when asked for, as an entry point's module is.
        from environments.alfworld import Alfworld

        return Alfworld()
    provided = {point.name: point for point in entry_points(group=GROUP)}
    if first not in provided:
        raise UnknownName("environment", name, known())
    return _provided(provided[first], rest)


def known() -> tuple[str, ...]:
    """List the names that exist, sorted; entry points appear without arguments."""
    households = {f"household/{world}/{size}" for world in NAMED for size in SIZES}
    provided = {point.name for point in entry_points(group=GROUP)}
    return tuple(sorted({"alfworld", "household", *households, *provided}))


@lru_cache(maxsize=_KEPT)
def _household(world: str, size: str) -> Household:
    return Household(world, size)


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
