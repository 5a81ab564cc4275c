"""Attempts for reinforcement learning, on the same tokens as in the local engine.

Many conversations advance at the same time. Each step of the network reads or writes tokens of all
of them. A shared beginning is read once, and a conversation's cache is reused in its next turn.
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
from apprentice.state.prompts import Shown, act_prompt
from apprentice.state.trajectory import Verdict, digest, text_of
from apprentice.training.encoding import Chat, Turn
from apprentice.training.workbench import Workbench

TOKENS_A_STEP: Final = 8192


@dataclass
class Attempt:
    """An attempt in progress.

    Attributes:
        messages: the conversation so far.
        step: the function with which the environment answers a turn; None for a prompt that
            graders judge.
        tools: JSON Schemas of the tools that the model sees.
        seed: the seed of its random choices.
        ids: all its tokens.
        mine: for each token, 1 if the policy wrote it, else 0.
        prompt: the number of tokens before the policy's first turn.
        rewrites: how often the policy's tokens changed when its turn became part of the
            conversation.
        answer: the policy's answer to a prompt.
        over: whether the attempt has ended.
        verdict: the environment's verdict; None for an answer that graders judge.
        cache: the network's cache of its tokens.
        transcript: the conversation as LangChain messages.
    """

    messages: list[Turn]
    step: Callable[[list[AnyMessage], AIMessage], Advance] | None = None
    tools: Sequence[Turn] = ()
    seed: int = 0
    ids: list[int] = field(default_factory=list)
    mine: list[int] = field(default_factory=list)
    prompt: int = 0
    rewrites: int = 0
    answer: str = ""
    over: bool = False
    verdict: Verdict | None = None
    cache: Any = None
    transcript: list[AnyMessage] = field(default_factory=list)

    def read(self, tokens: list[int]) -> None:
        """Set the tokens to read before the next turn.

        Tokens of the policy from the first difference on no longer count as its own.
        """
        same = _common(self.ids, tokens)
        if same < len(self.ids):
            self.rewrites += 1
        if self.cache is not None and same < self.cache.length:
            self.cache = self.cache.prefix(same) if same else None
        self.mine = self.mine[:same] + [0] * (len(tokens) - same)
        self.ids = list(tokens)
        self.prompt = self.prompt or len(tokens)

    def write(self, tokens: list[int]) -> None:
        """Add tokens that the policy wrote."""
        self.ids += tokens
        self.mine += [1] * len(tokens)

    @property
    def reward(self) -> float | None:
        """Return the verdict as a number, or None if there is no verdict."""
        if self.verdict is None:
            return None
        if self.verdict.score is not None:
            return self.verdict.score
        return None if self.verdict.success is None else float(self.verdict.success)


@dataclass(frozen=True)
class Sampler:
    """Samples the policy's turns.

    Attributes:
        network: the policy, in the form that the engine runs.
        chat: the policy's format of conversations.
        context: the most tokens that the policy can read.
        temperature: the sampling temperature.
        limit: the most tokens of a turn.
    """

    network: Network
    chat: Chat
    context: int
    temperature: float
    limit: int

    def play(self, attempts: Sequence[Attempt]) -> None:
        """Continue the attempts until all are over."""
        while active := [attempt for attempt in attempts if not attempt.over]:
            for attempt in active:
                attempt.read(self.chat.prompt(attempt.messages, attempt.tools))
                if len(attempt.ids) >= self.context:
                    _end(attempt, "The conversation is longer than the model's context.")
            open_attempts = [attempt for attempt in active if not attempt.over]
            for attempt, tokens in zip(open_attempts, self._turns(open_attempts), strict=True):
                attempt.write(tokens)
                _respond(attempt, self._text(tokens))

    def _turns(self, attempts: Sequence[Attempt]) -> list[list[int]]:
        """Sample one turn for each attempt, including its end token."""
        self._share(attempts)
        chances = [generator(attempt.seed, attempt.ids) for attempt in attempts]
        turns: list[list[int]] = [[] for _ in attempts]
        unread = [list(attempt.ids[attempt.cache.length :]) for attempt in attempts]
        rows = list(range(len(attempts)))
        while rows:
            logits = self._forward([(attempts[row].cache, unread[row]) for row in rows])
            temperatures = [self.temperature] * len(rows)
            tokens = choose(logits, temperatures, [chances[row] for row in rows])
            for row, token in zip(rows, tokens, strict=True):
                turns[row].append(token)
                unread[row] = [token]
            rows = [row for row in rows if not self._is_over(attempts[row], turns[row])]
        return turns

    def _is_over(self, attempt: Attempt, turn: list[int]) -> bool:
        room = min(self.limit, self.context - len(attempt.ids))
        return turn[-1] in self.chat.ends or len(turn) >= room

    def _share(self, attempts: Sequence[Attempt]) -> None:
        """Give a cache to each attempt that has none; equal beginnings are read once."""
        prefixes: dict[tuple[int, ...], Any] = {}
        for attempt in attempts:
            if attempt.cache is not None:
                continue
            start = tuple(attempt.ids[:-1])
            if start and start not in prefixes:
                prefixes[start] = self.network.cache()
                self._forward([(prefixes[start], start)])
            copy = prefixes[start].prefix(len(start)) if start else None
            attempt.cache = copy or self.network.cache()

    def _forward(self, batch: Sequence[tuple[Any, Sequence[int]]]) -> torch.Tensor:
        """Run the network in portions that fit into memory."""
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
        text_tokens = tokens[:-1] if tokens and tokens[-1] in self.chat.ends else tokens
        text = self.chat.tokenizer.decode(
            list(text_tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)


def network(policy: PeftModel) -> Network:
    """Return a policy with its current weights, in the form that the engine runs."""
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
    """Return whether the adapter's weights can be added to those of a plain network.

    This is not possible for four-bit weights, and not for trained rows of embeddings.
    """
    layers = [module for module in base.modules() if isinstance(module, BaseTunerLayer)]
    is_plain_network = is_plain(base) and not getattr(base, "is_quantized", False)
    return (
        is_plain_network
        and base.device.type == "cpu"
        and all(isinstance(one, LoraLayer) for one in layers)
    )


def attempt_at(bench: Workbench, environment: str, task_id: str, seed: int) -> Attempt:
    """Return a new attempt at a task, with no rules, exemplars or reflections in its prompt."""
    where = bench.environments.get(environment)
    task = where.task(task_id)
    messages = act_prompt(where.instructions, Shown(), text_of(bench.episodes.start(where, task)))

    def step(transcript: list[AnyMessage], turn: AIMessage) -> Advance:
        return bench.episodes.advance(where, task, transcript, turn)

    return Attempt(as_chat(messages), step=step, seed=seed, transcript=list(messages))


def attempt_seed(seed: int, *parts: int) -> int:
    """Return the seed of one attempt in one step."""
    return int(digest(seed, *parts)[:12], 16)


def _respond(attempt: Attempt, text: str) -> None:
    """Add a turn to an attempt, with the environment's reply."""
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
    """End an attempt that cannot continue, as a failure."""
    attempt.verdict = Verdict(success=False, score=0.0, feedback=why)
    attempt.over = True
    attempt.cache = None


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the length of the common beginning of two sequences."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
