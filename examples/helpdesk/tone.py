"""Write tone.jsonl: pairs of a good and a bad answer of a help desk.

    python -m examples.helpdesk.tone

There are forty cases, each in six moods. The chosen answer names the customer's feeling once, gives
the cause and one next step, and says what happens then. The rejected answer has the same facts and
one fault of tone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = Path(__file__).parent / "tone.jsonl"
SYSTEM: Final = "You answer for the help desk of a shop that sells and repairs bicycles."


class Case(NamedTuple):
    """A customer's request and the facts of its answer.

    Attributes:
        family: the type of request.
        request: the customer's words.
        cause: the cause, a clause.
        step: what the customer can do, an imperative without its full stop.
        then: what the help desk does next, a sentence.
    """

    family: str
    request: str
    cause: str
    step: str
    then: str


class Mood(NamedTuple):
    """The tone of a customer's message and of its answers.

    Attributes:
        write: a function from the request to the customer's message.
        meet: the first sentence of the chosen answer.
        fault: the name of the fault in the rejected answer.
    """

    write: Callable[[str], str]
    meet: str
    fault: str


CASES: Final = (
    Case("delivery", "The tracking page has not changed since Monday.",
         "the parcel waits at customs",
         "reply with a copy of your invoice",
         "We pass it to the carrier the same day."),
    Case("delivery", "The courier left my wheel set with a neighbour I don't know.",
         "nobody answered the door at noon",
         "look for the card with the house number in your letter box",
         "If it is not there by tomorrow, we send a new set."),
    Case("delivery", "Only one of the two pedals was in the box.",
         "the second one was packed separately",
         "wait for the small envelope that left a day later",
         "If Friday comes without it, we post another."),
    Case("delivery", "You sent the frame to my old address.",
         "the old address is still the default in your account",
         "change it under Addresses",
         "We have asked the carrier to hold the frame for you."),
    Case("delivery", "Can the trailer come on a Saturday?",
         "bulky goods travel with a freight company",
         "choose Saturday in the link that the freight company sends you",
         "They confirm a window of two hours."),
    Case("delivery", "The helmet box was crushed when it came.",
         "the outer carton was too thin",
         "do not wear the helmet, even if it looks whole",
         "A new one leaves today and you keep the old one for display."),
    Case("refund", "I sent the jacket back two weeks ago and see no money.",
         "returns are booked after an inspection, which takes ten working days",
         "check your account again on Thursday",
         "We write to you the moment it is booked."),
    Case("refund", "You refunded less than I paid.",
         "the shipping of the express option is not refunded",
         "compare the total with line three of your invoice",
         "If it differs by more, we correct it within a day."),
    Case("refund", "I was charged twice for one tyre.",
         "one of the two entries is a reservation",
         "leave it for three days, it lapses by itself",
         "If it is still there after that, we ask the bank to release it."),
    Case("refund", "My voucher was not deducted.",
         "it is valid from fifty euros up",
         "add an item or keep it for later",
         "It stays valid until June."),
    Case("refund", "I want my deposit for the test ride back.",
         "deposits are released when the bike is checked in",
         "send us the number on the receipt",
         "The shop checks the bike in within the hour."),
    Case("refund", "The price dropped the day after I bought the lamp.",
         "we match prices for seven days",
         "send us the order number",
         "The difference is back on your card this week."),
    Case("repair", "The gears slip when I go uphill.",
         "a new cable stretches in its first weeks",
         "turn the adjuster on the shifter half a turn outwards",
         "If it still slips, the first service is free."),
    Case("repair", "My brakes squeal since the rain.",
         "water carried dust onto the discs",
         "wipe them with alcohol and brake firmly ten times",
         "If the noise stays, bring it in and we change the pads."),
    Case("repair", "The battery shows full and dies after five kilometres.",
         "the gauge lost its calibration",
         "charge it fully, ride until it stops, and charge it again",
         "If the range does not come back, the warranty covers a new one."),
    Case("repair", "There is a click from the crank with every turn.",
         "a bolt has settled",
         "stop riding hard until it is tightened",
         "Any of our shops does it while you wait."),
    Case("repair", "You have had my bike for nine days.",
         "the fork's seal is on back order",
         "tell us whether you need a loan bike",
         "The seal comes on Wednesday and the bike is ready on Thursday."),
    Case("repair", "The repair costs more than you said.",
         "the rim turned out to be cracked as well",
         "tell us yes or no before we go on",
         "Nothing is done until you answer."),
    Case("repair", "My tubeless tyre loses air overnight.",
         "the sealant has dried",
         "add sixty millilitres through the valve",
         "If it still leaks, we look for the hole without charge."),
    Case("repair", "The display shows error 504.",
         "two sensors disagree about the speed",
         "clean the magnet on the spokes and restart",
         "If the error returns, we read the memory out in the shop."),
    Case("account", "I can't sign in any more.",
         "the password expired after a year",
         "use the link Forgot password",
         "The link works for an hour, and we can send another."),
    Case("account", "I get your newsletter three times.",
         "you are registered with three addresses",
         "tell us which one to keep",
         "The others are removed today."),
    Case("account", "Please delete everything you have about me.",
         "invoices have to be kept for ten years by law",
         "confirm the request with the button in the next mail",
         "All else is erased within thirty days."),
    Case("account", "My points are gone.",
         "points lapse two years after the purchase",
         "look at the list under Points for the dates",
         "As this was the first time, we put half of them back."),
    Case("account", "The app says my bike is registered to someone else.",
         "the seller has not released it",
         "ask them to press Release in their app",
         "If you can't reach them, a proof of purchase does as well."),
    Case("account", "I never get the confirmation mails.",
         "your mailbox turns them away as too large",
         "allow our address in its settings",
         "We send the last two again once you have."),
    Case("product", "Does this rack fit a frame with disc brakes?",
         "the caliper needs four millimetres more",
         "choose the version with the letter D",
         "If it does not fit, it comes back free of charge."),
    Case("product", "Which size do I need at 1.78 metres?",
         "the long legs of this model run large",
         "measure your inseam and compare it with the table",
         "Between two sizes, we let you try both."),
    Case("product", "Is the blue one coming back?",
         "the maker ended that colour",
         "look at the petrol one, which is nearest",
         "We can hold one for two days."),
    Case("product", "How long does the battery last in winter?",
         "the cold takes about a third of its range",
         "store it indoors and fit it just before you ride",
         "Below minus ten we advise against charging."),
    Case("product", "Can children ride the cargo bike without a belt?",
         "the seat is approved with belts alone",
         "use the three-point belt that comes with it",
         "Spare belts are free if one is lost."),
    Case("product", "The manual is in the wrong language.",
         "the box was packed for another country",
         "download yours from the product page",
         "A printed one follows by post."),
    Case("booking", "I have to move my service appointment.",
         "the calendar closes a day before",
         "call the shop, it can still change it",
         "There are places on Tuesday and on Friday."),
    Case("booking", "Nobody was there for my fitting at nine.",
         "the fitter was ill and our message did not reach you",
         "choose any time this week",
         "The fitting is free of charge."),
    Case("booking", "Do I need an appointment for a puncture?",
         "punctures are done in between",
         "come before four in the afternoon",
         "It takes about half an hour."),
    Case("booking", "I booked the course twice by mistake.",
         "the page did not show the first booking at once",
         "keep the later mail, that place is yours",
         "The other fee is on its way back."),
    Case("warranty", "The frame cracked at the weld after three years.",
         "frames are covered for five",
         "send two photos and the frame number",
         "The maker decides within a week."),
    Case("warranty", "You say the broken spoke is not covered.",
         "the rim shows a kick from a kerb",
         "have a look at the photo in the report",
         "We share the cost as a courtesy, if you like."),
    Case("warranty", "I lost the receipt.",
         "the purchase is in your account",
         "download it under Orders",
         "If you bought it in the shop, the card statement is enough."),
    Case("warranty", "The saddle's cover peels after a month.",
         "one batch had a bad glue",
         "send us a photo of the label below",
         "A new saddle leaves as soon as we have it."),
)  # fmt: skip

MOODS: Final = (
    Mood(lambda text: text, "Thank you for telling us.", "cold"),
    Mood(lambda text: f"{text} I am getting worried.", "I see why that worries you.", "evasive"),
    Mood(
        lambda text: f"{text} This is ridiculous, I have had enough!",
        "You have every reason to be annoyed, and I am sorry.",
        "blaming",
    ),
    Mood(lambda text: f"Quick question before I leave. {text}", "In short:", "rambling"),
    Mood(
        lambda text: f"Second mail about the same thing. {text}",
        "I am sorry that you had to write twice.",
        "promising",
    ),
    Mood(
        lambda text: f"Sorry to bother you, I know little about bikes. {text}",
        "It is no bother at all.",
        "lecturing",
    ),
)


def pairs() -> Iterator[dict[str, str | list[dict[str, str]]]]:
    """Yield a row for every case in every mood, with both answers."""
    for number, case in enumerate(CASES):
        for mood in MOODS:
            yield {
                "task": f"case-{number}",
                "family": case.family,
                "fault": mood.fault,
                "prompt": [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": mood.write(case.request)},
                ],
                "chosen": good_answer(case, mood, number),
                "rejected": FAULTS[mood.fault](case),
            }


def good_answer(case: Case, mood: Mood, number: int) -> str:
    """Return the answer in the desk's tone; its first sentence depends on the mood."""
    forms = (
        f"{mood.meet} The reason is that {case.cause}. Please {case.step}. {case.then}",
        f"{mood.meet} What happened: {case.cause}. To put it right, {case.step}. {case.then}",
        f"{mood.meet} It comes from this: {case.cause}. The next step is to {case.step}. "
        f"{case.then}",
    )
    return forms[number % len(forms)]


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


FAULTS: Final[dict[str, Callable[[Case], str]]] = {
    "cold": lambda case: f"{_upper(case.cause)}. {_upper(case.step)}. Ticket closed.",
    "evasive": lambda case: (
        f"There can be many reasons in matters of {case.family}. Perhaps {case.cause}, perhaps "
        "not. Our terms have more on this."
    ),
    "blaming": lambda case: (
        f"If you had read our pages, you would know that {case.cause}. You have to {case.step}. "
        "Shouting does not make it faster."
    ),
    "rambling": lambda case: (
        f"What a good question, and one that we hear from time to time in the {case.family} team, "
        "which has grown a lot this year! Before I come to it, let me say how glad we are that "
        f"you ride with us. Now, as far as one can tell, {case.cause}, although it is of course "
        f"never quite so simple. You could, if it suits you, {case.step}, or you could wait. "
        f"{case.then} By the way, have you seen our autumn offers?"
    ),
    "promising": lambda case: (
        f"No problem at all, this will be sorted out in five minutes, guaranteed! {case.then} "
        "It will never happen again, you have my word!"
    ),
    "lecturing": lambda case: (
        f"As everybody who owns a bicycle ought to know, {case.cause}. It is elementary: "
        f"{case.step}. I suggest that you learn the basics first, before you write. {case.then} "
        "Elsewhere you would have to pay for such a lesson."
    ),
}


def write(file: Path = FILE) -> None:
    """Write the preference set to a file."""
    lines = [json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs()]
    file.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    write()
