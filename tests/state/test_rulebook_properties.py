"""What holds for every rulebook, whatever is done to it."""

from __future__ import annotations

from hypothesis import strategies as st

from apprentice.state.rulebook import (
    Author,
    Batch,
    Operation,
    Rulebook,
    fold,
    in_order,
    replay,
    rollback,
)
from tests.state.rulebook_strategies import Notebook, answers, authors, holds, logged, logs


def check(book: Rulebook) -> None:
    """Assert what makes a rulebook one."""
    strengths = [rule.strength for rule in book.rules]
    assert strengths == sorted(strengths, reverse=True)
    assert all(strength > 0 for strength in strengths)
    assert all(rule.strength == 0 for rule in book.retired)
    ids = [rule.id for rule in (*book.rules, *book.retired)]
    assert len(set(ids)) == len(ids)
    wordings = [rule.text.casefold().rstrip(".") for rule in book.rules]
    assert len(set(wordings)) == len(wordings)
    assert set(book.merged.values()) <= set(ids)
    assert not set(book.merged) & set(ids)
    assert len(book.strongest(3)) <= 3
    lines = book.numbered_rules().splitlines()
    expected = [f"{number}. {rule.text}" for number, rule in enumerate(book.rules, 1)]
    assert lines == (expected or ["(none yet)"])


@holds(st.lists(st.tuples(answers, authors, st.integers(0, 6))))
def test_no_sequence_of_operations_breaks_a_book(
    steps: list[tuple[list[Operation], Author, int]],
) -> None:
    book = Rulebook()
    for index, (given_operations, author, limit) in enumerate(steps):
        applied = book.apply(given_operations, author=author, limit=limit, origin=str(index))
        assert len(applied.operations) + len(applied.rejections) == len(given_operations)
        assert author == "person" or len(applied.operations) <= 4
        touched = [each.rule for each in applied.operations]
        assert len(set(touched)) == len(touched)
        check(applied.rulebook)
        book = applied.rulebook


@holds(logs(most=12, authors=st.just("model")))
def test_the_fold_is_the_papers_list(batches: list[Batch]) -> None:
    slow = Notebook()
    for batch, book in replay(batches):
        slow.take(batch.operations)
        assert book.rules == slow.frozen()


@holds(logs(), answers, authors)
def test_what_is_judged_has_its_full_effect_when_folded(
    batches: list[Batch], given_operations: list[Operation], author: Author
) -> None:
    book = fold(batches)
    batch = logged(book, given_operations, "next", 0, 1e6, author)
    applied = book.apply(given_operations, author=author, origin=batch.key)
    assert fold([batch], book) == applied.rulebook == fold([*batches, batch])


@holds(logs(), st.data())
def test_replaying_the_log_gives_the_same_book_whatever_its_order(
    batches: list[Batch], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(batches))
    doubled = [*shuffled, *shuffled[:2]]
    assert fold(doubled) == fold(batches)
    cut = data.draw(st.integers(0, len(batches)))
    ordered = in_order(batches)
    assert fold(ordered[cut:], fold(ordered[:cut])) == fold(batches)
    for _, book in replay(batches):
        check(book)


@holds(logs("one"), logs("two"), logs("three", 3))
def test_logs_written_at_once_merge_into_a_valid_book(
    one: list[Batch], two: list[Batch], three: list[Batch]
) -> None:
    merged = fold([*one, *two, *three])
    assert merged == fold([*three, *one, *two])
    check(merged)
    added = {
        each.rule
        for batch in (*one, *two, *three)
        for each in batch.operations
        if each.kind == "ADD"
    }
    accounted = {rule.id for rule in (*merged.rules, *merged.retired)} | set(merged.merged)
    assert added <= accounted


supports = st.lists(
    answers.map(
        lambda some: [each for each in some if each.kind != "REMOVE" and each.kind != "EDIT"]
    ),
    max_size=6,
)


@holds(supports, supports)
def test_no_vote_is_lost_when_two_runs_learn_the_same(
    one: list[list[Operation]], two: list[list[Operation]]
) -> None:
    batches: list[Batch] = []
    for run, answers_of_run in (("one", one), ("two", two)):
        own: list[Batch] = []
        for index, some in enumerate(answers_of_run):
            own.append(logged(fold(own), some, run, index, float(index + (run == "two") / 2)))
        batches += own
    votes = sum(each.kind == "AGREE" for batch in batches for each in batch.operations)
    merged = fold(batches)
    assert sum(rule.strength for rule in merged.rules) == 2 * len(merged.rules) + votes


@holds(logs(), logs("more"))
def test_a_rollback_is_exact(old: list[Batch], more: list[Batch]) -> None:
    target, current = fold(old), fold([*old, *more])
    applied = current.apply(rollback(current, target), author="person")
    assert applied.rulebook.version == target.version
    assert not applied.rejections
    check(applied.rulebook)


@holds(logs())
def test_books_and_batches_survive_the_way_through_json(batches: list[Batch]) -> None:
    book = fold(batches)
    assert Rulebook.model_validate_json(book.model_dump_json()) == book
    assert [Batch.model_validate_json(each.model_dump_json()) for each in batches] == batches
