"""Names are nouns and verbs of the field: no identifier is a bare participle or gerund.

`found`, `kept` or `judging` do not say what they hold; `matches`, `stored_rules` and `grade` do.
Some things have one word only (`INSTEAD`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = (
    "apprentice",
    "benchmarks",
    "cli",
    "environments",
    "examples",
    "graphs",
    "memory",
    "models",
    "nodes",
    "state",
    "training",
)

INSTEAD = {
    "book": "rulebook",
    "lesson": "reflection",
    "lessons": "reflections",
    "moment": "step",
    "moments": "steps",
}
"""What to say in place of a word that is not the project's."""

IRREGULAR = frozenset(
    """
    begun bound built chosen come done drawn fallen felt forgotten found given gone got grown heard
    held hidden kept known laid led left lent lost made meant met paid proven said seen sent sold
    sought spent spoken stolen struck stuck sworn taken taught thrown told torn understood
    woken won worn written
    """.split()  # noqa: SIM905 - easier to read than a list of strings
)
TERMS = frozenset(
    """
    anything bed boring building ceiling embed embedding embeddings encoding everything evening
    exceed feed finding fixture heading indeed king listing logging meaning morning need nothing
    opening padding proceed ranking rating reading red ring rounding seed setting settings shed
    showing something spacing speed spelling spring standing string testing thing timing training
    warning
    wording
    """.split()  # noqa: SIM905
)
"""Nouns, and terms of the field, that only look like participles."""
ADJECTIVES = frozenset({"merged", "requested", "retired", "sampled", "scripted", "shown", "stored"})
"""Words with one meaning here: `shown` is the field of a run's input, `retired` and `merged` are
rules, `Scripted` is a chat model."""

STORED: dict[str, frozenset[str]] = {
    "memory/exchange/rows.py": frozenset({"interrupted"}),
    "nodes/expel/curate.py": frozenset({"rejected"}),
    "state/advice.py": frozenset({"overruled"}),
    "state/expel.py": frozenset(
        {"applied", "judged", "proposed", "quarantined", "rejected", "waiting"}
    ),
    "state/gate.py": frozenset(
        {"failed", "judged", "needed", "published", "solved", "tried", "unjudged"}
    ),
    "state/insights.py": frozenset({"done", "quarantined"}),
    "state/trajectory.py": frozenset({"done", "interrupted"}),
    "state/review.py": frozenset({"quarantined"}),
    "state/rubric.py": frozenset({"met"}),
    "state/rules.py": frozenset({"flagged", "written"}),
    "state/training.py": frozenset({"judged"}),
    "training/adapters.py": frozenset({"changed", "created"}),
    "training/datasets/curation.py": frozenset({"stripped"}),
    "training/datasets/rows.py": frozenset({"chosen", "rejected"}),
    "training/rounds.py": frozenset({"begun", "kept", "seen"}),
    "training/scratch/loop.py": frozenset({"hidden", "scaling"}),
    "training/settings.py": frozenset({"checkpointing", "packing", "quantised", "shuffled"}),
}
"""By module: fields that stores, people's answers, models' answers, training jobs, adapters' cards
and checkpoints of waiting reviews have under these names, and a parameter that Transformers names
(`scaling`). New fields get names of their own."""


def bare(name: str) -> bool:
    """Tell whether a name is a participle or a gerund and nothing else."""
    word = name.strip("_")
    if not word.islower() or "_" in word or word in TERMS | ADJECTIVES:
        return False
    longer = len(word) > 4
    return word in IRREGULAR or (longer and word.endswith(("ed", "ing")))


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every name that a module binds, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str(alias)):
                yield node.lineno, alias
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case _:
                continue


def offences(root: Path, room: str) -> list[str]:
    """Return the names of a room that are none, as sentences."""
    sentences = []
    for path in sorted((root / room).rglob("*.py")):
        if any(parent.is_symlink() for parent in path.parents):
            continue  # a room, which is looked at by itself
        where = path.relative_to(root).as_posix()
        stored = STORED.get(where, frozenset())
        names = [(1, path.stem), *names_of(ast.parse(path.read_text()))]
        for line, name in names:
            if bare(name.lower() if name[:1].isupper() and name[1:].islower() else name):
                if name not in stored:
                    sentences.append(f"{where}:{line}: {name!r} is a bare participle or gerund")
            elif other := INSTEAD.get(name.strip("_")):
                sentences.append(f"{where}:{line}: say {other!r}, not {name!r}")
    return sentences


@pytest.mark.parametrize("room", ROOMS)
def test_names_are_nouns_and_verbs(root: Path, room: str) -> None:
    assert offences(root, room) == []


def test_every_room_is_looked_at(root: Path) -> None:
    rooms = {path.name for path in (root / "apprentice").iterdir() if path.is_symlink()}
    assert rooms | {"apprentice", "benchmarks", "examples"} == set(ROOMS)


def test_no_stored_name_is_listed_in_vain(root: Path) -> None:
    for where, names in STORED.items():
        assert names <= {name for _, name in names_of(ast.parse((root / where).read_text()))}, where


@pytest.mark.parametrize(
    ("name", "is_bare"),
    [
        ("found", True),
        ("_said", True),
        ("judging", True),
        ("quarantined", True),
        ("stored", False),
        ("string", False),
        ("found_rules", False),
        ("seed", False),
        ("training", False),
        ("Found", False),
    ],
)
def test_a_bare_word_is_told_from_a_term(name: str, is_bare: bool) -> None:
    assert bare(name) is is_bare
