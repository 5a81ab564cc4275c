"""Runs the benchmarks that need no long training, in turn: `python -m benchmarks`."""

from __future__ import annotations

from importlib import import_module

NAMES = (
    *("household", "step_limits", "gate", "overhead", "concurrency", "local_model"),
    *("experience", "training"),
)


def main() -> None:
    """Print the tables."""
    for name in NAMES:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
