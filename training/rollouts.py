"""Attempts for reinforcement learning, on the tokens that the local engine would read and write.

Many conversations advance at once: each step of the network reads or writes tokens of all of
them, what they share is read once, and what a conversation has read is kept for its next turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from langchain_core.messages import AIMessage, AnyMessage
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import LlamaForCausalLM

from apprentice.environments.advance import Advance
from apprentice.models.llama import Llama, is_plain
from apprentice.models.toolcalls import as_chat
from apprentice.models.weights import General, Network, choose, generator
from apprentice.state.nouns import Verdict, digest, text_of
from apprentice.state.prompts import Shown, act_prompt
from apprentice.training.encoding import Chat, Turn
from apprentice.training.workbench import Workbench

TOKENS_A_STEP: Final = 8192


@dataclass
class Attempt:
    """One attempt under way.

    Attributes:
        messages: the conversation so far.
        step: lets the environment answer a turn; None for an answer that graders judge.
        ids: its tokens, in full.
        mine: which of them the policy wrote.
        prompt: how many of them were there before its first turn.
        rewritten: turns whose tokens read differently once they were part of the conversation.
        verdict: how it ended; None for an answer that graders judge.
    """

    messages: list[Turn]
    step: Callable[[list[AnyMessage], AIMessage], Advance] | None = None
    tools: Sequence[Turn] = ()
    seed: int = 0
    ids: list[int] = field(default_factory=list)
    mine: list[int] = field(default_factory=list)
    prompt: int = 0
    rewritten: int = 0
    answer: str = ""
    over: bool = False
    verdict: Verdict | None = None
    cache: Any = None
    transcript: list[AnyMessage] = field(default_factory=list)

    def read(self, tokens: list[int]) -> None:
        """Take in the conversation as it is to be read before the next turn.

        Tokens that the policy wrote, and that read differently now, are no longer its own.
        """
        same = _common(self.ids, tokens)
        if same < len(self.ids):
            self.rewritten += 1
        if self.cache is not None and same < self.cache.length:
            self.cache = self.cache.prefix(same) if same else None
        self.mine = self.mine[:same] + [0] * (len(tokens) - same)
        self.ids = list(tokens)
        self.prompt = self.prompt or len(tokens)

    def wrote(self, tokens: list[int]) -> None:
        """Add what the policy wrote."""
        self.ids += tokens
        self.mine += [1] * len(tokens)

    @property
    def reward(self) -> float | None:
        """Return the verdict as a number, None where nobody can tell."""
        if self.verdict is None:
            return None
        if self.verdict.score is not None:
            return self.verdict.score
        return None if self.verdict.success is None else float(self.verdict.success)


@dataclass(frozen=True)
class Sampler:
    """Takes the policy's turns.

    Attributes:
        network: the policy, as the engine would run it.
        chat: its way of writing conversations.
        context: how many tokens it can read.
        limit: how many tokens a turn may have.
    """

    network: Network
    chat: Chat
    context: int
    temperature: float
    limit: int

    def play(self, attempts: Sequence[Attempt]) -> None:
        """Carry attempts on until all are over."""
        while active := [attempt for attempt in attempts if not attempt.over]:
            for attempt in active:
                attempt.read(self.chat.prompt(attempt.messages, attempt.tools))
                if len(attempt.ids) >= self.context:
                    _end(attempt, "The conversation is longer than the model's context.")
            going = [attempt for attempt in active if not attempt.over]
            for attempt, tokens in zip(going, self._turns(going), strict=True):
                attempt.wrote(tokens)
                _respond(attempt, self._text(tokens))

    def _turns(self, attempts: Sequence[Attempt]) -> list[list[int]]:
        """Let the policy write one turn in each; the token that ends it included."""
        self._share(attempts)
        chances = [generator(attempt.seed, attempt.ids) for attempt in attempts]
        written: list[list[int]] = [[] for _ in attempts]
        unread = [list(attempt.ids[attempt.cache.length :]) for attempt in attempts]
        rows = list(range(len(attempts)))
        while rows:
            logits = self._forward([(attempts[row].cache, unread[row]) for row in rows])
            temperatures = [self.temperature] * len(rows)
            tokens = choose(logits, temperatures, [chances[row] for row in rows])
            for row, token in zip(rows, tokens, strict=True):
                written[row].append(token)
                unread[row] = [token]
            rows = [row for row in rows if not self._done(attempts[row], written[row])]
        return written

    def _done(self, attempt: Attempt, written: list[int]) -> bool:
        room = min(self.limit, self.context - len(attempt.ids))
        return written[-1] in self.chat.ends or len(written) >= room

    def _share(self, attempts: Sequence[Attempt]) -> None:
        """Give a cache to each attempt without one; equal beginnings are read once."""
        started: dict[tuple[int, ...], Any] = {}
        for attempt in attempts:
            if attempt.cache is not None:
                continue
            start = tuple(attempt.ids[:-1])
            if start and start not in started:
                started[start] = self.network.cache()
                self._forward([(started[start], start)])
            copy = started[start].prefix(len(start)) if start else None
            attempt.cache = copy or self.network.cache()

    def _forward(self, batch: Sequence[tuple[Any, Sequence[int]]]) -> torch.Tensor:
        """Read in portions that fit into memory."""
        portions: list[list[tuple[Any, Sequence[int]]]] = [[]]
        room = TOKENS_A_STEP
        for row in batch:
            if portions[-1] and len(row[1]) > room:
                portions.append([])
                room = TOKENS_A_STEP
            portions[-1].append(row)
            room -= len(row[1])
        return torch.cat([self.network.forward(portion) for portion in portions])

    def _text(self, tokens: Sequence[int]) -> str:
        kept = tokens[:-1] if tokens and tokens[-1] in self.chat.ends else tokens
        text = self.chat.tokenizer.decode(
            list(kept), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)


def network(policy: PeftModel) -> Network:
    """Return a policy as the engine would run it, its weights as they are now."""
    base: Any = policy.get_base_model()
    if not _can_be_added(base):
        return General(base)
    weights = {
        name: parameter.data
        for name, parameter in base.named_parameters(remove_duplicate=False)
        if ".lora_" not in name and ".base_layer." not in name
    }
    for name, module in base.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer: Any = module
            weights[f"{name}.weight"] = layer.get_base_layer().weight.data + layer.get_delta_weight(
                "default"
            )
    weights.setdefault("lm_head.weight", weights["model.embed_tokens.weight"])
    with torch.device("meta"):
        twin: Any = LlamaForCausalLM(base.config)
    twin.model.rotary_emb = base.model.rotary_emb
    twin.load_state_dict(weights, assign=True, strict=False)
    return Llama(twin)


def _can_be_added(base: Any) -> bool:
    """Tell whether adding an adapter's share to the weights of a plain network makes the policy.

    Four-bit weights cannot be added to, and rows that are learned are no share of a layer.
    """
    tuned = [module for module in base.modules() if isinstance(module, BaseTunerLayer)]
    plain = is_plain(base) and not getattr(base, "is_quantized", False)
    return plain and base.device.type == "cpu" and all(isinstance(one, LoraLayer) for one in tuned)


def attempt_at(bench: Workbench, environment: str, task_id: str, seed: int) -> Attempt:
    """Begin an attempt at an environment's task, with nothing in view beside it."""
    where = bench.environments.get(environment)
    task = where.task(task_id)
    opening = act_prompt(where.instructions, Shown(), text_of(bench.episodes.start(where, task)))

    def step(transcript: list[AnyMessage], turn: AIMessage) -> Advance:
        return bench.episodes.advance(where, task, transcript, turn)

    return Attempt(as_chat(opening), step=step, seed=seed, transcript=list(opening))


def seeded(seed: int, *parts: int) -> int:
    """Return the seed of one attempt of one step."""
    return int(digest(seed, *parts)[:12], 16)


def _respond(attempt: Attempt, text: str) -> None:
    """Take a turn in, and let the environment answer it."""
    if attempt.step is None:
        attempt.answer, attempt.over = text, True
        return
    turn = AIMessage(text)
    step = attempt.step(attempt.transcript, turn)
    attempt.transcript += [turn, step.reply]
    attempt.messages = as_chat(attempt.transcript)
    if step.verdict is not None:
        attempt.verdict, attempt.over = step.verdict, True
        attempt.cache = None


def _end(attempt: Attempt, why: str) -> None:
    """End an attempt that cannot go on, as failed."""
    attempt.verdict = Verdict(success=False, score=0.0, feedback=why)
    attempt.over = True
    attempt.cache = None


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the equal tokens at the beginning of two sequences."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
