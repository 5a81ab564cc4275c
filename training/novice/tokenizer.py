"""The novice's tokenizer: byte-level BPE with the household's phrases as single tokens.

Each noun (with its leading space) and each number is one token, so the model can match a thing with
a list by comparing tokens. The subject of a rule is one token, and the next token is what the rule
says, so the model can look up a rule in the same way. Fixed phrases are one token each, which keeps
episodes short. All other text is encoded by BPE, down to bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from apprentice.environments.household.expert import (
    UNKNOWN_APPLIANCE,
    UNKNOWN_PLACE,
    appliance_rule,
    storage_rule,
)
from apprentice.environments.household.vocabulary import PLACES, THINGS, TREATMENTS
from apprentice.state import prompts
from apprentice.training.scratch.chat import SPECIAL, TAGS, chat_tokenizer

PHRASES: Final = (
    # observations
    "You are in the middle of a room. Looking quickly around you, you see a",
    "You are in the middle of a room. Looking quickly around you, you see",
    ".\n\nYour task is to: put a", ".\n\nYour task is to: put some",
    ".\n\nYour task is to: put two",
    ".\n\nYour task is to: find two", ".\n\nYour task is to: examine the",
    ".\n\nYour task is to: look at", ".\n\nYour task is to: put a clean",
    ".\n\nYour task is to: put a hot", ".\n\nYour task is to: put a cool",
    ".\n\nYour task is to: clean some", ".\n\nYour task is to: heat some",
    ".\n\nYour task is to: cool some", " and put it in", " and put them in",
    " with the", " under the",
    "On the", "The", ", you see a", ", you see nothing.", ", a", ", and a", " is closed.",
    " is open. In it, you see a", " is open. In it, you see nothing.", ". The", "You open the",
    "You close the", "You pick up the", " from the", "You put the", " in/on the", "You clean the",
    "You heat the", "You cool the", " using the", "You turn on the", "You turn off the",
    "Nothing happens.", "You are carrying: a", "You are not carrying anything.",
    "There's nothing special about", "This is a", "You are facing the",
    ". Next to it, you see nothing.",
    # turns
    "think: I look for a", "think: I look for another", ". It is at",
    ". I saw it at", ". I go on where I stopped. Plan:",
    ". Plan:", ".\ngo to", "think: The", " is not here.\ngo to", " is not here. Plan:",
    " is here.", ".\ntake", ".\nuse", " from", "think: I will",
    "think: I put it in/on a", " I put it in/on a", "think: That does nothing.\ngo to",
    " Seen:", " Not seen.",
    " it. I go on where I stopped. Plan:", ".\nclean", ".\nheat",
    ".\ncool", "go to", "open", "close", "take", "put", "use", "clean", "heat", "cool", " in/on",
    " with", "examine", "look", "inventory", "think:",
    # transcripts and lists
    "\n>", "\n> go to", "\n> open", "\n> take", "\n> put", "\n> use", "\n> clean", "\n> heat",
    "\n> cool", "\n> think: I look for a", "\n> think: I look for another",
    "\n> think: The", " is not here.\n> go to", ".\n> take", ".\n> use",
    ".\n> go to",
    "\n> think: I put it in/on a", "\n> think: That does nothing.\n> go to",
    "\n> think: I will", ".\n> clean",
    ".\n> heat", ".\n> cool", "\nOn the", "\nThe", "\nYou open the", "\nYou pick up the",
    "\nYou put the", "\nNothing happens.", "\nYou turn on the", "\nYou clean the",
    "\nYou heat the", "\nYou cool the", "\nSTATUS: FAIL", "\nSTATUS: SUCCESS", "\n\nPlan:",
    "\n\nRules:", "\n\nOperations:", "AGREE", "REMOVE", "EDIT", "ADD", "\n- ",
)  # fmt: skip
_TEMPLATES: Final = (
    prompts.HOUSEHOLD_INSTRUCTIONS,
    *(f"\n\n{header}" for _, header in prompts.ACTING_SECTIONS),
    prompts.REFLECT,
    prompts.ADAPT,
    prompts.CRITIQUE_PAIR,
    prompts.CRITIQUE_SUCCESSES,
    prompts.OPERATIONS,
    prompts.LIST_FULL,
    prompts.NO_RULES,
    "\n\nPlans from earlier attempts:",
    prompts.TOOLS,
)


def train(texts: Iterable[str], merges: int = 640) -> PreTrainedTokenizerFast:
    """Train the tokenizer; phrases, prompts and nouns become whole tokens.

    Args:
        texts: sample texts from which the byte-pair merges are learned.
        merges: the number of merges beyond the 256 bytes.
    """
    words = [f" {noun}" for nouns in THINGS.values() for noun in nouns]
    words += [f" {name}" for name in (*PLACES, *THINGS, *TREATMENTS)]
    words += [
        f" {rule.rpartition(' ')[0]}"
        for rule in (
            *(storage_rule(category, "place") for category in THINGS),
            *(appliance_rule(verb, "appliance") for verb in TREATMENTS),
        )
    ]
    words += [f" {UNKNOWN_PLACE}", f" {UNKNOWN_APPLIANCE}", ";"]
    words += [f" {number}" for number in range(1, 31)]
    words += [f"{before}{number}." for before in ("\n", "think: ") for number in range(1, 31)]
    whole = list(dict.fromkeys((*PHRASES, *_TEMPLATES, *words)))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    longest_first = sorted(whole, key=len, reverse=True)

    def rest(text: str) -> str:
        for word in longest_first:
            text = text.replace(word, "\n")
        return text

    tokenizer.train_from_iterator((rest(text) for text in texts), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in (*TAGS, *whole)])
    return chat_tokenizer(tokenizer)
