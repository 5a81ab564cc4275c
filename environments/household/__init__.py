"""An embedded household in ALFWorld's language: six task families in generated rooms."""

from apprentice.environments.household.environment import Household

__all__ = ["Household"]
