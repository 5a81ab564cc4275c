"""The embedded household: six families of tasks in generated rooms, in ALFWorld's language."""

from apprentice.environments.household.environment import Household

__all__ = ["Household"]
