"""Random domains for training: names, parameters and requests are put together from word lists.

A model soon knows a few written domains by heart, and then it cannot use new tools. A random domain
is always new, so a model can call its tools only if it reads them. `recombine_tools` mixes the
tools of the written training domains and renames half of them. A word that names a tool or a
parameter only in a held-out domain does not occur here.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apprentice.environments.toolcalls.domains import (
    CITIES,
    DAYS,
    DOMAINS,
    HOURS,
    NAMES,
    Domain,
    Tool,
    Values,
)

# Tools of a domain. Small domains let a model learn to read a tool before it learns to choose one.
TOOLS: Final = (1, 2, 3, 4, 4)
PARAMETERS: Final = 5  # the pool that the tools of a domain share
ASKS: Final = 5  # requests of a tool
RENAME_SHARE: Final = 0.5  # of the tools have names that their requests do not contain

VERBS: Final = (
    "add", "buy", "call", "cancel", "change", "check", "clean", "close", "compare", "copy",
    "count", "cut", "deliver", "draw", "feed", "fetch", "fill", "find", "fix", "get", "hang",
    "hide", "invite", "join", "label", "lend", "list", "lock", "mark", "measure", "mix", "move",
    "name", "open", "order", "pack", "paint", "plan", "plant", "play", "print", "recommend",
    "record", "remove", "repair", "request", "save", "scan", "sell", "send", "set", "share",
    "ship", "show", "sort", "start", "stop", "store", "swap", "teach", "trace", "translate",
    "update", "wash", "watch", "weigh", "wrap", "write",
)  # fmt: skip
_DOUBLING_VERBS: Final = ("cut", "get", "plan", "set", "ship", "stop", "swap", "wrap")
NOUNS: Final = (
    "alarm", "apple", "archive", "badge", "bag", "balloon", "basket", "bed", "bike", "bill",
    "blanket", "boat", "bottle", "bowl", "bridge", "budget", "bus", "cake", "camera", "candle",
    "carpet", "chair", "chart", "clock", "coat", "coin", "concert", "contract", "cookbook", "cup",
    "curtain", "desk", "dish", "door", "drawer", "drill", "engine", "event", "farm", "ferry",
    "file", "film", "flag", "flight", "folder", "form", "fridge", "game", "garage", "garden",
    "gift", "guitar", "hammer", "hat", "helmet", "house", "invoice", "jacket", "jar", "job",
    "journey", "kettle", "key", "kitchen", "ladder", "lamp", "laptop", "lesson", "letter",
    "license", "lift", "machine", "mail", "map", "market", "match", "meal", "menu", "message",
    "mirror", "mobile", "mug", "museum", "oven", "painting", "pan", "parcel", "park", "passport",
    "pencil", "permit", "phone", "photo", "piano", "picture", "pipe", "plane", "plate", "pool",
    "post", "poster", "project", "pump", "question", "recipe", "remote", "report", "ring", "road",
    "robot", "roof", "room", "route", "scooter", "screen", "seed", "shelf", "shirt", "shoe",
    "shop", "show", "sofa", "soup", "stamp", "statue", "story", "survey", "table", "tank", "taxi",
    "tent", "ticket", "tool", "towel", "toy", "trip", "truck", "tunnel", "umbrella", "vase",
    "video", "violin", "vote", "wall", "wheel", "window", "wire",
)  # fmt: skip
UNITS: Final = (
    "adults", "bags", "blocks", "bottles", "boxes", "bricks", "centimetres", "children", "coins",
    "copies", "crates", "cups", "dollars", "eggs", "friends", "grams", "guests", "hours", "jars",
    "keys", "lines", "litres", "metres", "miles", "months", "pages", "people", "pieces", "points",
    "rooms", "rounds", "rows", "seconds", "sheets", "slices", "spoons", "tables", "tickets",
    "tonnes", "years",
)  # fmt: skip
_PLURALS: Final = tuple(f"{noun}s" for noun in NOUNS if noun[-1] not in "sxhyf")
"""More units; a tokenizer splits many of these names into several tokens."""
NUMBER_NOUNS: Final = (
    "account", "badge", "bed", "bill", "box", "channel", "code", "contract", "customer", "desk",
    "door", "file", "flight", "floor", "folder", "form", "gate", "invoice", "job", "key", "line",
    "locker", "member", "order", "page", "parcel", "permit", "platform", "player", "rack", "room",
    "route", "row", "screen", "section", "shelf", "station", "table", "ticket", "track", "user",
    "zone",
)  # fmt: skip
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "colour": ("red", "blue", "green", "yellow", "black", "white", "purple", "brown"),
    "speed": ("slow", "normal", "quick", "turbo"),
    "material": ("wood", "steel", "glass", "paper", "cotton", "plastic"),
    "shape": ("round", "square", "oval", "flat"),
    "taste": ("sweet", "sour", "salty", "bitter", "spicy"),
    "format": ("digital", "printed", "audio", "braille"),
    "season": ("spring", "summer", "autumn", "winter"),
    "priority": ("urgent", "low", "usual"),
    "side": ("left", "right", "front", "back"),
    "style": ("modern", "classic", "rustic", "plain"),
    "mode": ("eco", "silent", "boost", "manual"),
    "kind": ("private", "public", "shared", "secret"),
    "quality": ("basic", "good", "premium"),
    "payment": ("cash", "cheque", "voucher"),
    "weight": ("light", "heavy", "massive"),
    "age": ("new", "used", "ancient"),
    "area": ("east", "west", "centre", "valley", "coast"),
    "animal": ("horse", "goat", "parrot", "hamster", "rabbit"),
    "fruit": ("lemon", "cherry", "melon", "plum", "grape"),
    "craft": ("weaving", "pottery", "sewing", "carving"),
    "dance": ("tango", "ballet", "waltz", "salsa"),
    "subject": ("maths", "history", "physics", "poetry"),
    "drink": ("cocoa", "juice", "milk", "cider"),
    "duty": ("guard", "cook", "pilot", "nurse"),
}
PEOPLE: Final = (
    "actor", "artist", "chef", "client", "coach", "colleague", "cousin", "dealer", "driver",
    "friend", "guest", "guide", "neighbour", "owner", "person", "pupil", "singer", "tailor",
    "teacher", "tenant", "winner", "writer",
)  # fmt: skip
PLACES: Final = (
    "airport", "bay", "city", "country", "district", "harbour", "island", "lake", "park", "port",
    "region", "street", "town", "village",
)  # fmt: skip
COMPANIES: Final = ("agency", "bank", "brand", "company", "maker", "office", "school", "sender",
                    "shop", "studio", "supplier", "team")  # fmt: skip
TITLE_NOUNS: Final = ("album", "article", "comic", "exhibition", "film", "game", "magazine",
                      "novel", "opera", "painting", "play", "poem", "show", "story")  # fmt: skip
TOPICS: Final = ("goods", "ingredient", "item", "object", "plant", "product", "theme", "topic")
_THINGS: Final = (
    "almonds", "basil", "beans", "bees", "butter", "castles", "chalk", "clouds", "comets", "corn",
    "dragons", "flour", "forests", "glue", "honey", "ink", "ivy", "jazz", "kites", "lace",
    "leather", "magnets", "mint", "moss", "nails", "oats", "olives", "onions", "pearls", "pepper",
    "quartz", "rice", "robots", "roses", "rubber", "sand", "silk", "sugar", "tulips", "velvet",
    "violets", "volcanoes", "wax", "whales", "wool", "yarn", "zinc",
)  # fmt: skip
_ADJECTIVES: Final = (
    "Blue", "Broken", "Cold", "Distant", "Empty", "First", "Golden", "Green", "Hidden", "Hollow",
    "Last", "Little", "Lost", "Long", "Open", "Quiet", "Red", "Seven", "Silver", "Six", "Sleeping",
    "Slow", "Small", "Three", "Velvet", "White", "Wild", "Young",
)  # fmt: skip
_SUBJECTS: Final = (
    "Birds", "Bridge", "Candles", "City", "Coast", "Crown", "Dance", "Dream", "Fields", "Fire",
    "Forest", "Fountain", "Garden", "Horses", "House", "Island", "Journey", "King", "Kites", "Lake",
    "Letters", "Light", "Mirror", "Moon", "Mountain", "Ocean", "Orchard", "Queen", "Rain", "Ring",
    "Shadow", "Ship", "Snow", "Stars", "Stone", "Storm", "Street", "Summer", "Tower", "Valley",
    "Voices", "Wolves",
)  # fmt: skip
_SIGNS: Final = f"{string.ascii_letters}{string.digits}_"
_ONSETS: Final = ("", *"BCDFGHJKLMNPQRSTVWXYZ", "Br", "Ch", "Dr", "Gr", "Kl", "Sh", "St", "Tr")
_VOWELS: Final = (*"aeiou", "ee", "ou", "ai")
_CODAS: Final = ("", "", "n", "r", "s", "l", "nd", "rt", "k", "m", "x", "ps", "mber", "rch", "lar",
                 "ning", "te")  # fmt: skip

_WITH_HEAD: Final = (
    "{head}{rest}.", "{head}{rest}.", "please {head}{rest}.", "can you {head}{rest}?",
    "{head}{rest}, please.", "I want you to {head}{rest}.", "I would like to {head}{rest}.",
    "could you please {head}{rest}?", "{head} for me{rest}.", "we have to {head}{rest}.",
    "{rest}, {head}.", "help me to {head}{rest}.", "how do I {head}{rest}?",
    "where can I {head}{rest}?", "who can {head}{rest}?", "is it possible to {head}{rest}?",
)  # fmt: skip
_WITHOUT_VERB: Final = (
    "I need the {what}{rest}.", "we need the {what}{rest}, please.", "the {what}{rest}, please.",
    "I am here about the {what}{rest}.", "what about the {what}{rest}?",
    "do I need a {what}{rest}?", "is there a {what}{rest}?", "which {what}{rest}?",
    "do we have the {what}{rest}?", "where is the {what}{rest}?", "when is the {what}{rest}?",
    "how much is a {what}{rest}?", "how do I get the {what}{rest}?", "any {what}{rest}?",
)  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool, and the phrases that state its value.

    Attributes:
        says: phrases that follow the request, with the value as {}.
        vague: a phrase that mentions the parameter without a value; '' if there is none.
        before: whether the value may stand before the noun.
        titles: whether the value may replace the noun.
        is_enum: whether the schema lists the values as an enumeration.
    """

    name: str
    values: Values
    says: tuple[str, ...]
    vague: str = ""
    before: bool = False
    titles: bool = False
    is_enum: bool = False


def sample_domain(rng: random.Random) -> Domain:
    """Sample a training domain."""
    count = rng.choice(TOOLS)
    verbs, nouns = rng.sample(VERBS, count), rng.sample(NOUNS, count)
    if count > 1 and rng.random() < 0.3:
        nouns[1] = nouns[0]
    if count > 3 and rng.random() < 0.3:
        verbs[3] = verbs[2]
    pool = _parameters(rng)
    tools: dict[str, Tool] = {}
    for verb, noun in zip(verbs, nouns, strict=True):
        only = Counter(nouns)[noun] == 1
        tools[_tool_name(verb, noun, tools, rng)] = _tool(verb, noun, pool, rng, only=only)
    return Domain("train", tools)


def recombine_tools(rng: random.Random) -> Domain:
    """Return a domain whose tools come from several of the written training domains.

    The requests are those that people wrote. Half of the tools get a new name.
    """
    domains = [domain for domain in DOMAINS.values() if domain.split == "train"]
    sources = {name: tool for domain in domains for name, tool in domain.tools.items()}
    tools: dict[str, Tool] = {}
    for source in rng.sample(list(sources), rng.choice(TOOLS)):
        name = source
        if rng.random() < RENAME_SHARE:
            name = _tool_name(rng.choice(VERBS), rng.choice(NOUNS), {*sources, *tools}, rng)
        tools[name] = sources[source]
    return Domain("train", tools)


def sample_words(rng: random.Random) -> str:
    """Sample a text to copy: different characters, or words like those in calls."""
    if rng.random() < 0.5:
        return "".join(rng.sample(_SIGNS, rng.randint(3, 12)))
    kinds = (
        lambda: f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}",
        lambda: rng.choice((*VERBS, *NOUNS)),
        lambda: rng.choice((*CITIES, *DAYS, *NAMES)),
        lambda: rng.choice(_KINDS)(rng).name,
        lambda: str(rng.choice(rng.choice(_KINDS)(rng).values)),
        lambda: invent_name(rng),
        lambda: f"{invent_name(rng)}_{invent_name(rng)}".lower(),
    )
    return " ".join(rng.choice(kinds)() for _ in range(rng.randint(1, 3)))


def _tool_name(verb: str, noun: str, others: Container[str], rng: random.Random) -> str:
    """Return a name for a tool; a share of the names does not contain the request's words.

    If every name repeated the request, a model would not have to read the descriptions.
    """
    roll = rng.random()
    if roll < RENAME_SHARE:
        if roll < RENAME_SHARE / 2:
            verb = rng.choice(VERBS)
        else:
            noun = rng.choice(NOUNS)
    name = f"{verb}_{noun}"
    return name if name not in others else _tool_name(verb, noun, others, rng)


def _parameters(rng: random.Random) -> list[Parameter]:
    by_name: dict[str, Parameter] = {}
    while len(by_name) < PARAMETERS:
        parameter = rng.choice(_KINDS)(rng)
        by_name.setdefault(parameter.name, parameter)
    return list(by_name.values())


def _tool(
    verb: str, noun: str, pool: Sequence[Parameter], rng: random.Random, *, only: bool
) -> Tool:
    takes = rng.sample(pool, rng.choice((1, 1, 2, 2, 2, 2, 3)))
    titles = [one for one in takes if one.titles]
    takes = [one for one in takes if not one.titles] + titles[:1]
    rng.shuffle(takes)
    spare = takes[-1].name if len(takes) > 1 and rng.random() < 0.25 else ""

    def ask(omit: str = "", vague: str = "") -> str:
        present = [one for one in takes if one.name != omit]
        return _sentence(_request_parts(verb, noun, present, rng, vague), rng, verbless=only)

    mandatory = [one for one in takes if one.name != spare]
    asks = [ask(spare if spare and turn % 2 else "") for turn in range(ASKS)]
    lacks = {one.name: ask(one.name, one.vague if rng.random() < 0.4 else "") for one in mandatory}
    action = _request_parts(_gerund(verb), noun, takes, rng, "")
    by = f" {rng.choice(('by', 'for', 'with'))} {takes[0].name}"
    return Tool(
        f"{verb.capitalize()} {rng.choice(('a', 'the'))} {noun}{rng.choice(('', by))}.",
        {one.name: one.values for one in takes},
        tuple(asks),
        lacks,
        action["head"] + action["rest"],
        tuple(one.name for one in takes if one.is_enum),
    )


def _request_parts(
    verb: str, noun: str, takes: Sequence[Parameter], rng: random.Random, vague: str
) -> Mapping[str, str]:
    """Return the parts of a request: `head` (verb and noun), `what` (noun alone) and `rest`."""
    what, article = noun, rng.choice(("the", "the", "a", "my"))
    rest = [vague] if vague else []
    for one in sorted(takes, key=lambda one: not one.titles):
        slot = f"{{{one.name}}}"
        if one.titles:
            what, article = rng.choice(((slot, ""), (f"{noun} {slot}", "the")))
        elif one.before:
            what = f"{slot} {what}" if what == noun else what
        if not one.titles and slot not in what:
            rest.append(rng.choice(one.says).replace("{}", slot))
    rng.shuffle(rest)
    head = " ".join(part for part in (verb, article, what) if part)
    return {"head": head, "what": what, "rest": "".join(rest)}


def _sentence(parts: Mapping[str, str], rng: random.Random, *, verbless: bool) -> str:
    forms = _WITHOUT_VERB if verbless and rng.random() < 0.4 else _WITH_HEAD
    form = rng.choice(forms)
    if form.startswith("{rest}") and not parts["rest"].startswith(" "):
        form = _WITH_HEAD[0]
    sentence = form.format_map(parts).strip()
    return sentence if sentence.startswith("{") else sentence[0].upper() + sentence[1:]


def _gerund(verb: str) -> str:
    if verb in _DOUBLING_VERBS:
        return f"{verb}{verb[-1]}ing"
    return f"{verb.removesuffix('e')}ing"


def invent_name(rng: random.Random) -> str:
    """Return a random name made of syllables."""
    parts = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 2, 2, 3)))]
    return "".join(parts).capitalize() + rng.choice(_CODAS)


def _several(rng: random.Random, names: Sequence[str]) -> tuple[str, ...]:
    """Return five of the names and three invented ones."""
    return (*rng.sample(names, 5), *(invent_name(rng) for _ in range(3)))


def _unit(rng: random.Random) -> Parameter:
    name = rng.choice(UNITS) if rng.random() < 0.5 else rng.choice(_PLURALS)
    says = (f" for {{}} {name}", f" with {{}} {name}", f" of {{}} {name}", f", {{}} {name}",
            f" in {{}} {name}", f" {{}} {name}")  # fmt: skip
    return Parameter(name, _numbers(rng), says, f" for some {name}")


def _number(rng: random.Random) -> Parameter:
    name = rng.choice(NUMBER_NOUNS)
    before = rng.choice((" at", " from", " for", " with", " of", ",", " to", " on"))
    return Parameter(name, _numbers(rng), (f"{before} {name} {{}}", f" for {name} {{}}"))


def _numbers(rng: random.Random) -> range:
    return rng.choice((range(2, 10), range(1, 31), range(10, 250), range(100, 999),
                       range(1000, 9999), range(500, 20_000, 500)))  # fmt: skip


def _choice(rng: random.Random) -> Parameter:
    name = rng.choice(list(CHOICES))
    values = CHOICES[name]
    values = tuple(rng.sample(values, rng.randint(2, min(4, len(values)))))
    says = (f", {name} {{}}", f" with {name} {{}}", " in {}", ", {} please", f" of {{}} {name}",
            " for {}", " as {}")  # fmt: skip
    before, is_enum = rng.random() < 0.4, rng.random() < 0.7
    return Parameter(name, values, says, f" of some {name}", before=before, is_enum=is_enum)


def _person(rng: random.Random) -> Parameter:
    name = rng.choice(PEOPLE)
    says = (" with {}", " for {}", " from {}", " by {}", " to {}", f" for {name} {{}}",
            f" with {name} {{}}")  # fmt: skip
    return Parameter(name, _several(rng, NAMES), says, rng.choice(("", f" with some {name}")))


def _place(rng: random.Random) -> Parameter:
    name = rng.choice(PLACES)
    says = (" in {}", " to {}", " near {}", " from {}", f" in the {name} of {{}}")
    return Parameter(name, _several(rng, CITIES), says, rng.choice(("", " somewhere")))


def _company(rng: random.Random) -> Parameter:
    name = rng.choice(COMPANIES)
    says = (" from {}", " at {}", " for {}", " to {}", f" for the {name} {{}}")
    return Parameter(name, tuple(invent_name(rng) for _ in range(6)), says)


def _title(rng: random.Random) -> Parameter:
    name = rng.choice(TITLE_NOUNS)

    def title() -> str:
        subject = rng.choice(_SUBJECTS)
        name = f"{rng.choice(_ADJECTIVES)} {subject}"
        return rng.choice((name, f"The {name}", f"A {subject} of {rng.choice(_SUBJECTS)}"))

    return Parameter(name, tuple(title() for _ in range(6)), (), titles=True)


def _topic(rng: random.Random) -> Parameter:
    name = rng.choice(TOPICS)
    says = (" with {}", " about {}", " of {}", " for {}", f" for the {name} {{}}")
    return Parameter(name, tuple(rng.sample(_THINGS, 6)), says, rng.choice(("", " of something")))


def _day(rng: random.Random) -> Parameter:
    return Parameter("day", DAYS, (" on {}", " for {}", ", {}"), rng.choice(("", " some day")))


def _hour(rng: random.Random) -> Parameter:
    return Parameter("hour", HOURS, (" at {}", " at {} o'clock", ", {} o'clock"))


_KINDS: Final = (
    *(_unit, _unit, _unit, _number, _number, _number, _choice, _choice, _choice),
    *(_person, _person, _person, _place, _place, _company, _title, _topic, _day, _day, _hour),
)
