"""The registry tells where each adapter comes from, and which may be used."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apprentice import models
from apprentice.models.engine import close_all
from apprentice.models.fit import base_fingerprint
from apprentice.models.names import adapters_root
from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.training.adapters import (
    Adapter,
    adapters,
    check_owner,
    code_version,
    export_merged,
    lineage,
    mark,
    mark_incompatible,
    prune,
    read,
    register,
    retraining,
)
from tests.models import tiny as tiny_models
from tests.training.conftest import Workplace


@pytest.fixture
def own(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Offer a base that the test may change, and return the weights of an adapter for it."""
    folder = workplace.root / "models"
    model = tiny_models.llama(folder / "mine")
    monkeypatch.setenv("APPRENTICE_LOCAL_MODELS", str(folder))
    weights = workplace.root / "weights"
    targets = ["q_proj", "v_proj", "down_proj"]
    tiny_models.adapter(weights, model, seed=1, targets=targets)
    return weights


def card(name: str, parent: str = "") -> Adapter:
    return Adapter(
        name=name,
        method="sft",
        base="mine",
        base_fingerprint=base_fingerprint("mine"),
        parent=parent,
        dataset="d" * 32,
        code=code_version(),
        settings={"seed": 3},
    )


def test_a_registered_adapter_can_be_asked_for_at_once(own: Path) -> None:
    registered = register(card("first"), own)
    assert registered == read("first") == adapters("mine")[0]
    assert registered.created > 0
    answer = models.chat("local:mine", adapter="first", max_tokens=4)
    assert answer.invoke("hi").text != models.chat("local:mine", max_tokens=4).invoke("hi").text


def test_registering_twice_is_once_and_keeps_what_was_marked(own: Path) -> None:
    register(card("first"), own)
    mark("first", "promoted", "It won.", {"score": 0.5})
    assert register(card("first"), own).status == "promoted"
    assert read("first").metrics == {"score": 0.5}


def test_two_threads_mark_the_same_adapter(own: Path) -> None:
    register(card("first"), own)
    with ThreadPoolExecutor(2) as pool:
        marked = list(pool.map(mark, ["first"] * 200, ["promoted"] * 200))
    assert {each.status for each in marked} == {read("first").status} == {"promoted"}


def test_two_threads_register_the_same_adapter(own: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            made = card(f"number-{number}")
            one, other = pool.map(register, [made] * 2, [own] * 2)
            assert one == other == read(made.name)
    assert len(adapters()) == 20
    assert not list(adapters_root().glob(".*"))


def test_lineage_is_followed_as_far_as_it_is_kept(own: Path) -> None:
    register(card("a"), own)
    register(card("b", parent="a"), own)
    register(card("c", parent="b"), own)
    assert [adapter.name for adapter in lineage("c")] == ["c", "b", "a"]


def test_other_weights_in_the_base_make_its_adapters_incompatible(
    own: Path, workplace: Workplace
) -> None:
    register(card("old"), own)
    mark("old", "promoted")
    assert mark_incompatible("mine") == []
    tiny_models.llama(workplace.root / "models" / "mine", seed=9)
    register(card("new"), own)
    assert [adapter.name for adapter in mark_incompatible("mine")] == ["old"]
    assert mark_incompatible("mine") == []
    assert read("old").status == "incompatible"
    assert "have changed" in read("old").reason
    assert read("new").status == "candidate"
    with pytest.raises(BadInput, match="Train it anew"):
        mark("old", "promoted")
    with pytest.raises(BadInput, match="cannot be merged"):
        export_merged("old", workplace.root / "merged")


def test_the_engine_refuses_what_was_trained_on_other_weights(
    own: Path, workplace: Workplace
) -> None:
    register(card("old"), own)
    assert models.chat("local:mine", adapter="old", max_tokens=4).invoke("hi").text
    close_all()
    tiny_models.llama(workplace.root / "models" / "mine", seed=9)
    # Nobody has marked it yet: what counts is the weights.
    with pytest.raises(BadInput, match="other weights of local:mine than the ones in place"):
        models.chat("local:mine", adapter="old", max_tokens=4).invoke("hi")
    tiny_models.llama(workplace.root / "models" / "other")
    with pytest.raises(BadInput, match="is for local:mine, not for local:other"):
        models.chat("local:other", adapter="old", max_tokens=4).invoke("hi")


def test_what_trains_an_adapter_anew_begins_with_its_ancestors(
    own: Path, workplace: Workplace
) -> None:
    register(card("a"), own)
    register(card("b", parent="a").model_copy(update={"job": "j"}), own)
    job = workplace.root / "jobs" / "j" / "job.json"
    job.parent.mkdir(parents=True)
    job.write_text(json.dumps({"dataset": "/data/b"}))
    plan = retraining("b", workplace.root / "jobs")
    assert [(each.adapter, each.folder) for each in plan] == [("a", ""), ("b", "/data/b")]
    assert plan[1].settings == {"seed": 3}
    assert plan[1].dataset == "d" * 32


def test_an_adapter_is_its_tenants_and_unknown_to_others(own: Path, workplace: Workplace) -> None:
    register(card("shared"), own)
    register(card("mine").model_copy(update={"tenant": "acme"}), own)
    check_owner("shared", "other")
    check_owner("mine", "acme")
    with pytest.raises(UnknownName, match="Known: shared") as refused:
        check_owner("mine", "other")
    assert str(refused.value).count("mine") == 1  # what was asked for, and no more
    assert [each.name for each in adapters(tenant="other")] == ["shared"]
    without = workplace.root / "adapters" / "placed"
    without.mkdir()
    check_owner("placed", "other")  # the operator put it there


def test_pruning_keeps_what_is_used_and_what_it_rests_on(own: Path) -> None:
    for name, parent in (("a", ""), ("b", "a"), ("c", ""), ("d", ""), ("e", "")):
        register(card(name, parent), own)
    for name in ("a", "c", "d", "e"):
        mark(name, "rejected")
    mark("b", "promoted")
    assert prune("mine", keep=1) == ["c", "d"]
    assert [adapter.name for adapter in adapters()] == ["a", "b", "e"]


def test_pruning_that_is_cut_short_leaves_no_adapter_without_a_card(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(card("mine").model_copy(update={"tenant": "acme"}), own)
    mark("mine", "rejected")

    def dies(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("apprentice.training.adapters.shutil.rmtree", dies)
        with pytest.raises(KeyboardInterrupt):
            prune("mine", keep=0)
    with pytest.raises(UnknownName):
        check_owner("mine", "other")
    assert register(card("mine"), own).status == "candidate"


def test_what_is_promoted_while_others_are_pruned_stays(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        register(card(name), own)
        mark(name, "rejected")
    listed = adapters("mine")
    mark("b", "promoted")
    monkeypatch.setattr("apprentice.training.adapters.adapters", lambda *_: listed)
    assert prune("mine", keep=0) == ["a"]
    assert read("b").status == "promoted"


def test_a_merged_export_answers_as_base_and_adapter_do(own: Path, workplace: Workplace) -> None:
    register(card("first"), own)
    adapted = models.chat("local:mine", adapter="first", max_tokens=12).invoke("hello").text
    folder = export_merged("first", workplace.root / "models" / "merged")
    close_all()
    assert models.chat("local:merged", max_tokens=12).invoke("hello").text == adapted
    assert json.loads((folder / "merged.json").read_text())["name"] == "first"
    with pytest.raises(BadInput, match="exists"):
        export_merged("first", folder)


def test_what_is_not_there_or_broken_is_said(own: Path, workplace: Workplace) -> None:
    register(card("first"), own)
    with pytest.raises(UnknownName, match="Did you mean 'first'"):
        read("fist")
    (workplace.root / "adapters" / "first" / "card.json").write_text("{")
    with pytest.raises(BrokenData, match="cannot be read"):
        read("first")


def test_a_fingerprint_is_of_the_contents(own: Path, workplace: Workplace) -> None:
    before = base_fingerprint("mine")
    folder = workplace.root / "models" / "mine"
    template = folder / "chat_template.jinja"
    words = template.read_text()
    template.write_text(words + " ")
    assert base_fingerprint("mine") != before
    template.write_text(words)
    assert base_fingerprint("mine") == before
