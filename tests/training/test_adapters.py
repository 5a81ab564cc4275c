"""The registry tells where each adapter comes from, and which may be used."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apprentice.models.adapter_fit import base_fingerprint
from apprentice.models.engine import close_all
from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.training.adapters import Adapter, Adapters, code_version
from tests.models import tiny as tiny_models
from tests.training.conftest import Workplace


@pytest.fixture
def workplace(workplace: Workplace) -> Workplace:
    """Offer a base that the test may change."""
    return replace(workplace, models=workplace.root / "models")


@pytest.fixture
def registry(workplace: Workplace) -> Adapters:
    return workplace.adapters


@pytest.fixture
def own(workplace: Workplace) -> Path:
    """Return the weights of an adapter for the base."""
    model = tiny_models.llama(workplace.models / "mine")
    weights = workplace.root / "weights"
    targets = ["q_proj", "v_proj", "down_proj"]
    tiny_models.adapter(weights, model, seed=1, targets=targets)
    return weights


def card(workplace: Workplace, name: str, parent: str = "") -> Adapter:
    return Adapter(
        name=name,
        method="sft",
        base="mine",
        base_fingerprint=base_fingerprint(workplace.models / "mine"),
        parent=parent,
        dataset="d" * 32,
        code=code_version(),
        settings={"seed": 3},
    )


def test_a_registered_adapter_can_be_asked_for_at_once(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    registered = registry.register(card(workplace, "first"), own)
    assert registered == registry.read("first") == registry.all("mine")[0]
    assert registered.created > 0
    answer = workplace.chat("local:mine", adapter="first", max_tokens=4)
    assert answer.invoke("hi").text != workplace.chat("local:mine", max_tokens=4).invoke("hi").text


def test_registering_twice_is_once_and_keeps_what_was_marked(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    registry.register(card(workplace, "first"), own)
    registry.mark("first", "promoted", "It won.", {"score": 0.5})
    assert registry.register(card(workplace, "first"), own).status == "promoted"
    assert registry.read("first").metrics == {"score": 0.5}


def test_two_threads_mark_the_same_adapter(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    registry.register(card(workplace, "first"), own)
    with ThreadPoolExecutor(2) as pool:
        marked = list(pool.map(registry.mark, ["first"] * 200, ["promoted"] * 200))
    assert {each.status for each in marked} == {registry.read("first").status} == {"promoted"}


def test_two_threads_register_the_same_adapter(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            made = card(workplace, f"number-{number}")
            one, other = pool.map(registry.register, [made] * 2, [own] * 2)
            assert one == other == registry.read(made.name)
    assert len(registry.all()) == 20
    assert not list(registry.root.glob(".*"))


def test_lineage_is_followed_as_far_as_it_is_kept(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    registry.register(card(workplace, "a"), own)
    registry.register(card(workplace, "b", parent="a"), own)
    registry.register(card(workplace, "c", parent="b"), own)
    assert [adapter.name for adapter in registry.lineage("c")] == ["c", "b", "a"]


def test_other_weights_in_the_base_make_its_adapters_incompatible(
    own: Path, workplace: Workplace, registry: Adapters
) -> None:
    registry.register(card(workplace, "old"), own)
    registry.mark("old", "promoted")
    assert registry.mark_incompatible("mine") == []
    tiny_models.llama(workplace.root / "models" / "mine", seed=9)
    registry.register(card(workplace, "new"), own)
    assert [adapter.name for adapter in registry.mark_incompatible("mine")] == ["old"]
    assert registry.mark_incompatible("mine") == []
    assert registry.read("old").status == "incompatible"
    assert "have changed" in registry.read("old").reason
    assert registry.read("new").status == "candidate"
    with pytest.raises(BadInput, match="Train it again"):
        registry.mark("old", "promoted")
    with pytest.raises(BadInput, match="cannot be merged"):
        registry.export_merged("old", workplace.root / "merged")


def test_the_engine_refuses_what_was_trained_on_other_weights(
    own: Path, workplace: Workplace, registry: Adapters
) -> None:
    registry.register(card(workplace, "old"), own)
    assert workplace.chat("local:mine", adapter="old", max_tokens=4).invoke("hi").text
    close_all()
    tiny_models.llama(workplace.root / "models" / "mine", seed=9)
    # Nobody has marked it yet: what counts is the weights.
    with pytest.raises(BadInput, match="other weights of local:mine than the ones in place"):
        workplace.chat("local:mine", adapter="old", max_tokens=4).invoke("hi")
    tiny_models.llama(workplace.root / "models" / "other")
    with pytest.raises(BadInput, match="is for local:mine, not for local:other"):
        workplace.chat("local:other", adapter="old", max_tokens=4).invoke("hi")


def test_what_trains_an_adapter_anew_begins_with_its_ancestors(
    own: Path, workplace: Workplace, registry: Adapters
) -> None:
    registry.register(card(workplace, "a"), own)
    registry.register(card(workplace, "b", parent="a").model_copy(update={"job": "j"}), own)
    job = workplace.root / "jobs" / "j" / "job.json"
    job.parent.mkdir(parents=True)
    job.write_text(json.dumps({"dataset": "/data/b"}))
    plan = registry.retraining_plan("b", workplace.root / "jobs")
    assert [(each.adapter, each.folder) for each in plan] == [("a", ""), ("b", "/data/b")]
    assert plan[1].settings == {"seed": 3}
    assert plan[1].dataset == "d" * 32


def test_an_adapter_is_its_tenants_and_unknown_to_others(
    own: Path, workplace: Workplace, registry: Adapters
) -> None:
    registry.register(card(workplace, "shared"), own)
    registry.register(card(workplace, "mine").model_copy(update={"tenant": "acme"}), own)
    registry.check_owner("shared", "other")
    registry.check_owner("mine", "acme")
    with pytest.raises(UnknownName, match="Known: shared") as refused:
        registry.check_owner("mine", "other")
    assert str(refused.value).count("mine") == 1  # what was asked for, and no more
    assert [each.name for each in registry.all(tenant="other")] == ["shared"]
    without = workplace.root / "adapters" / "placed"
    without.mkdir()
    registry.check_owner("placed", "other")  # the operator put it there


def test_pruning_keeps_what_is_used_and_what_it_rests_on(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    for name, parent in (("a", ""), ("b", "a"), ("c", ""), ("d", ""), ("e", "")):
        registry.register(card(workplace, name, parent), own)
    for name in ("a", "c", "d", "e"):
        registry.mark(name, "rejected")
    registry.mark("b", "promoted")
    assert registry.prune("mine", keep=1) == ["c", "d"]
    assert [adapter.name for adapter in registry.all()] == ["a", "b", "e"]


def test_pruning_that_is_cut_short_leaves_no_adapter_without_a_card(
    own: Path, registry: Adapters, workplace: Workplace
) -> None:
    registry.register(card(workplace, "mine").model_copy(update={"tenant": "acme"}), own)
    registry.mark("mine", "rejected")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from apprentice.models.names import LocalModels\n"
        "from apprentice.training.adapters import Adapters\n"
        "def die(event, arguments):\n"
        "    if event == 'shutil.rmtree':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(die)\n"
        f"models = LocalModels(Path({str(workplace.models)!r}), Path({str(registry.root)!r}))\n"
        "Adapters(models).prune('mine', keep=0)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(UnknownName):
        registry.check_owner("mine", "other")
    assert registry.register(card(workplace, "mine"), own).status == "candidate"


def test_what_is_promoted_while_others_are_pruned_stays(
    own: Path, monkeypatch: pytest.MonkeyPatch, registry: Adapters, workplace: Workplace
) -> None:
    for name in ("a", "b"):
        registry.register(card(workplace, name), own)
        registry.mark(name, "rejected")
    listed = registry.all("mine")
    registry.mark("b", "promoted")

    class Late(Adapters):
        """Lists the adapters as they were."""

        def all(self, *_: Any, **__: Any) -> list[Adapter]:
            return listed

    assert Late(registry.models).prune("mine", keep=0) == ["a"]
    assert registry.read("b").status == "promoted"


def test_a_merged_export_answers_as_base_and_adapter_do(
    own: Path, workplace: Workplace, registry: Adapters
) -> None:
    registry.register(card(workplace, "first"), own)
    adapted = workplace.chat("local:mine", adapter="first", max_tokens=12).invoke("hello").text
    folder = registry.export_merged("first", workplace.root / "models" / "merged")
    close_all()
    assert workplace.chat("local:merged", max_tokens=12).invoke("hello").text == adapted
    assert json.loads((folder / "merged.json").read_text())["name"] == "first"
    with pytest.raises(BadInput, match="exists"):
        registry.export_merged("first", folder)


def test_what_is_not_there_or_broken_is_said(
    own: Path, workplace: Workplace, registry: Adapters
) -> None:
    registry.register(card(workplace, "first"), own)
    with pytest.raises(UnknownName, match="Did you mean 'first'"):
        registry.read("fist")
    (workplace.root / "adapters" / "first" / "card.json").write_text("{")
    with pytest.raises(BrokenData, match="cannot be read"):
        registry.read("first")


def test_a_fingerprint_is_of_the_contents(own: Path, workplace: Workplace) -> None:
    before = base_fingerprint(workplace.models / "mine")
    folder = workplace.root / "models" / "mine"
    template = folder / "chat_template.jinja"
    words = template.read_text()
    template.write_text(words + " ")
    assert base_fingerprint(workplace.models / "mine") != before
    template.write_text(words)
    assert base_fingerprint(workplace.models / "mine") == before
