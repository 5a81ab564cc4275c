"""The source of the tool-call tasks: ten domains, their tools and the requests for them.

A domain belongs to one split, so no training sees the tools of validation and test. A request
states each value exactly as the call contains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Split = Literal["train", "validation", "test"]
Values = tuple[str, ...] | tuple[int, ...] | range

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES: Final = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas")
CITIES: Final = ("Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi", "Lisbon", "Prague", "Kyoto")
HOURS: Final = range(7, 22)
FEW: Final = range(2, 10)


@dataclass(frozen=True)
class Tool:
    """A function, and the ways in which people ask for it.

    Attributes:
        does: the description of the function.
        takes: parameter -> its possible values.
        asks: complete requests; a parameter that one of them omits is optional.
        lacks: required parameter -> a request that omits it.
        action: a phrase for the action, used in hypothetical requests.
        choices: the parameters whose values form an enumeration.
    """

    does: str
    takes: dict[str, Values]
    asks: tuple[str, ...]
    lacks: dict[str, str]
    action: str
    choices: tuple[str, ...] = ()

    def optional(self) -> set[str]:
        """Return the parameters that at least one complete request omits."""
        return {name for name in self.takes for ask in self.asks if f"{{{name}}}" not in ask}

    def schema(self, name: str) -> dict[str, Any]:
        """Return the function as JSON Schema.

        The description comes before the name, so a model that copies the description reads the
        name next.
        """
        properties: dict[str, Any] = {}
        for parameter, values in self.takes.items():
            whole = isinstance(values[0], int)
            properties[parameter] = {"type": "integer" if whole else "string"}
            if parameter in self.choices:
                properties[parameter]["enum"] = list(values)
        return {
            "description": self.does,
            "name": name,
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": [name for name in self.takes if name not in self.optional()],
            },
        }


@dataclass(frozen=True)
class Domain:
    """A few related tools; every task of the domain offers all of them."""

    split: Split
    tools: dict[str, Tool]


_CALENDAR = Domain("train", {
    "add_meeting": Tool(
        "Put a meeting into the calendar.",
        {"person": NAMES, "day": DAYS, "hour": HOURS},
        ("Put a meeting with {person} on {day} at {hour} into my calendar.",
         "I want to meet {person} on {day} at {hour}, please add it.",
         "Add a meeting on {day}, {hour} o'clock, with {person}."),
        {"day": "Add a meeting with {person} at {hour}.",
         "hour": "Put a meeting with {person} on {day} into my calendar.",
         "person": "Add a meeting on {day} at {hour}."},
        "meeting {person} on {day} at {hour}"),
    "cancel_meeting": Tool(
        "Cancel a meeting.",
        {"person": NAMES, "day": DAYS},
        ("Cancel my meeting with {person} on {day}.",
         "The meeting on {day} with {person} is off, please cancel it."),
        {"day": "Cancel one of my meetings with {person}.",
         "person": "Cancel a meeting on {day}."},
        "cancelling the meeting with {person} on {day}"),
    "list_meetings": Tool(
        "List the meetings of a day.",
        {"day": DAYS},
        ("Which meetings do I have on {day}?", "List my meetings of {day}.",
         "What is in my calendar for {day}?"),
        {"day": "List my meetings of that day."},
        "having all meetings on {day}"),
    "set_alarm": Tool(
        "Set an alarm.",
        {"hour": HOURS, "day": DAYS},
        ("Set an alarm for {hour} on {day}.", "Wake me at {hour} on {day}.",
         "I need an alarm at {hour}."),
        {"hour": "Set an alarm for {day}."},
        "getting up at {hour} on {day}"),
})  # fmt: skip

_WEATHER = Domain("train", {
    "get_forecast": Tool(
        "Get the weather forecast for a city.",
        {"city": CITIES, "day": DAYS},
        ("What will the weather be like in {city} on {day}?",
         "Get the forecast for {city} on {day}.", "I need the forecast for {city}."),
        {"city": "Get the forecast for {day}."},
        "it raining in {city} on {day}"),
    "get_temperature": Tool(
        "Get the temperature in a city now.",
        {"city": CITIES, "unit": ("celsius", "fahrenheit")},
        ("How warm is it in {city} now, in {unit}?",
         "Get the temperature in {city} in {unit}."),
        {"city": "Get the temperature in {unit}.", "unit": "Get the temperature in {city}."},
        "living in {city} with degrees in {unit}", ("unit",)),
    "warn_of": Tool(
        "Send a warning when some weather is expected in a city.",
        {"event": ("storm", "frost", "heat", "snow"), "city": CITIES},
        ("Warn me of {event} in {city}.", "Tell me when {event} is expected in {city}."),
        {"city": "Warn me of {event}.", "event": "Send me warnings for {city}."},
        "there being {event} in {city}", ("event",)),
    "get_sunrise": Tool(
        "Get the time of sunrise in a city.",
        {"city": CITIES, "day": DAYS},
        ("When does the sun rise in {city} on {day}?", "Get the sunrise in {city} on {day}."),
        {"city": "When does the sun rise on {day}?", "day": "Get one day's sunrise in {city}."},
        "watching the sun rise in {city} on {day}"),
})  # fmt: skip

_MUSIC = Domain("train", {
    "play_song": Tool(
        "Play a song.",
        {"song": ("Blue Morning", "Paper Boats", "Night Train", "Old River", "Glass Hill"),
         "volume": range(1, 11)},
        ("Play {song} at volume {volume}.", "I would like to hear {song}.",
         "Put on {song}, volume {volume}."),
        {"song": "Play something else at volume {volume}."},
        "hearing {song} all day"),
    "add_to_playlist": Tool(
        "Add a song to a playlist.",
        {"song": ("Blue Morning", "Paper Boats", "Night Train", "Old River", "Glass Hill"),
         "playlist": ("running", "dinner", "focus", "party")},
        ("Add {song} to the playlist {playlist}.", "{song} belongs into my {playlist} playlist."),
        {"playlist": "Add {song} to a playlist.", "song": "Add that to the {playlist} playlist."},
        "having {song} in the playlist {playlist}"),
    "set_volume": Tool(
        "Set the volume of a room.",
        {"room": ("kitchen", "bedroom", "office", "garden"), "volume": range(1, 11)},
        ("Set the volume in the {room} to {volume}.", "Make it {volume} in the {room}."),
        {"volume": "Change the volume in the {room}.", "room": "Set the volume to {volume}."},
        "having volume {volume} in the {room}"),
    "find_concerts": Tool(
        "Find concerts in a city.",
        {"city": CITIES, "genre": ("jazz", "rock", "folk", "opera")},
        ("Find {genre} concerts in {city}.", "Is there any {genre} on stage in {city}?"),
        {"city": "Find {genre} concerts.", "genre": "Find concerts of one genre in {city}."},
        "hearing {genre} in {city}", ("genre",)),
})  # fmt: skip

_ORDERS = Domain("train", {
    "track_order": Tool(
        "Tell where an order is.",
        {"order": range(1000, 9999)},
        ("Where is my order {order}?", "Track order {order}.", "Has order {order} left yet?"),
        {"order": "Where is my order?"},
        "order {order} never arriving"),
    "cancel_order": Tool(
        "Cancel an order.",
        {"order": range(1000, 9999), "reason": ("late", "damaged", "mistake")},
        ("Cancel order {order}, the reason is: {reason}.",
         "Please cancel order {order} because of: {reason}."),
        {"order": "Cancel my order, the reason is: {reason}.", "reason": "Cancel order {order}."},
        "cancelling order {order}", ("reason",)),
    "reorder": Tool(
        "Order something again.",
        {"product": ("coffee", "paper", "soap", "batteries", "tea"), "count": FEW},
        ("Order {count} packs of {product} again.", "We need {count} more {product}, reorder."),
        {"count": "Order {product} again.", "product": "Order {count} packs again."},
        "ordering {count} packs of {product}"),
    "change_address": Tool(
        "Send an order to another city.",
        {"order": range(1000, 9999), "city": CITIES},
        ("Send order {order} to {city} instead.", "Change the address of order {order} to {city}."),
        {"order": "Send my order to {city} instead.", "city": "Change the address of {order}."},
        "moving to {city} before order {order} comes"),
})  # fmt: skip

_BANKING = Domain("train", {
    "send_money": Tool(
        "Send money to a person.",
        {"person": NAMES, "amount": range(5, 500)},
        ("Send {amount} euros to {person}.", "Pay {person} {amount} euros.",
         "Transfer {amount} euros to {person}."),
        {"amount": "Send money to {person}.", "person": "Send {amount} euros."},
        "sending {person} {amount} euros"),
    "get_balance": Tool(
        "Get the balance of an account.",
        {"account": ("savings", "checking", "holiday")},
        ("How much is in my {account} account?", "Get the balance of {account}."),
        {"account": "Get the balance of one of my accounts."},
        "the {account} account being empty", ("account",)),
    "block_card": Tool(
        "Block a card.",
        {"digits": range(1000, 9999)},
        ("Block the card that ends in {digits}.", "I lost the card {digits}, block it."),
        {"digits": "Block one of my cards."},
        "losing the card {digits}"),
    "set_limit": Tool(
        "Set the monthly limit of an account.",
        {"account": ("savings", "checking", "holiday"), "amount": range(100, 2000, 50)},
        ("Set the limit of {account} to {amount} euros.",
         "Let me spend {amount} a month from {account}, no more."),
        {"amount": "Set a limit for {account}.", "account": "Set a limit of {amount} euros."},
        "having no more than {amount} in {account}", ("account",)),
})  # fmt: skip

_HOME = Domain("train", {
    "set_heating": Tool(
        "Set the heating of a room.",
        {"room": ("kitchen", "bedroom", "office", "bathroom"), "degrees": range(15, 26)},
        ("Heat the {room} to {degrees} degrees.", "Set the heating in the {room} to {degrees}.",
         "I want {degrees} degrees in the {room}."),
        {"degrees": "Change the heating in the {room}.", "room": "Heat to {degrees} degrees."},
        "having {degrees} degrees in the {room}"),
    "switch_light": Tool(
        "Switch a room's light.",
        {"room": ("kitchen", "bedroom", "office", "bathroom"), "state": ("on", "off")},
        ("Switch the light {state} in the {room}.", "Turn {state} the lamp of the {room}."),
        {"room": "Switch the light {state}.", "state": "Do something about the {room} light."},
        "the light being {state} in the {room}", ("state",)),
    "lock_door": Tool(
        "Lock a door.",
        {"door": ("front", "garden", "garage"), "hour": HOURS},
        ("Lock the {door} door at {hour}.", "Lock the {door} door."),
        {"door": "Lock a door at {hour}."},
        "the {door} door being open all night", ("door",)),
    "water_plants": Tool(
        "Water the plants of a place for some minutes.",
        {"place": ("balcony", "terrace", "garden"), "minutes": FEW},
        ("Water the plants on the {place} for {minutes} minutes.",
         "The {place} plants need water, {minutes} minutes."),
        {"minutes": "Water the plants on the {place}.", "place": "Water for {minutes} minutes."},
        "watering the {place} for {minutes} minutes", ("place",)),
})  # fmt: skip

_TRAVEL = Domain("validation", {
    "book_train": Tool(
        "Book a train to a city.",
        {"city": CITIES, "day": DAYS, "seats": FEW},
        ("Book a train to {city} on {day} for {seats} people.",
         "We are {seats} and take the train to {city} on {day}, please book.",
         "Get me a train to {city} on {day}."),
        {"city": "Book a train on {day} for {seats} people.", "day": "Book a train to {city}."},
        "taking the train to {city} on {day}"),
    "find_hotel": Tool(
        "Find a hotel in a city.",
        {"city": CITIES, "nights": FEW},
        ("Find a hotel in {city} for {nights} nights.",
         "Where can I stay {nights} nights in {city}?"),
        {"city": "Find a hotel for {nights} nights.", "nights": "Find a hotel in {city}."},
        "staying {nights} nights in {city}"),
    "rent_car": Tool(
        "Rent a car.",
        {"city": CITIES, "size": ("small", "medium", "large")},
        ("Rent a {size} car in {city}.", "In {city} I need a car, {size} please."),
        {"city": "Rent a {size} car.", "size": "Rent a car in {city}."},
        "driving a {size} car in {city}", ("size",)),
    "get_visa_rules": Tool(
        "Look up the visa rules for a journey to a city.",
        {"city": CITIES},
        ("Do I need a visa for {city}?", "Look up the visa rules for {city}."),
        {"city": "Look up the visa rules for my journey."},
        "needing no visa for {city}"),
})  # fmt: skip

_LIBRARY = Domain("test", {
    "reserve_book": Tool(
        "Reserve a book.",
        {"title": ("The Salt Road", "Winter Bees", "A Map of Clouds", "Nine Doors"),
         "branch": ("north", "south", "harbour")},
        ("Reserve {title} at the {branch} branch.", "Keep {title} for me at the {branch} branch."),
        {"branch": "Reserve {title}.", "title": "Reserve a book at the {branch} branch."},
        "reading {title} at the {branch} branch", ("branch",)),
    "renew_loan": Tool(
        "Renew a loan for some weeks.",
        {"loan": range(100, 999), "weeks": FEW},
        ("Renew loan {loan} for {weeks} weeks.", "I need {weeks} more weeks for loan {loan}."),
        {"weeks": "Renew loan {loan}.", "loan": "Renew a loan for {weeks} weeks."},
        "keeping loan {loan} for {weeks} weeks"),
    "search_catalogue": Tool(
        "Search the catalogue by author.",
        {"author": NAMES, "language": ("English", "French", "German")},
        ("Search the catalogue for books by {author} in {language}.",
         "Which books by {author} do you have?"),
        {"author": "Search the catalogue for an author in {language}."},
        "{author} writing a book in {language}", ("language",)),
    "pay_fine": Tool(
        "Pay a fine.",
        {"amount": range(1, 30), "card": range(1000, 9999)},
        ("Pay my fine of {amount} euros with card {card}.",
         "Take {amount} euros for the fine from card {card}."),
        {"card": "Pay my fine of {amount} euros.", "amount": "Pay my fine with card {card}."},
        "paying a fine of {amount} euros"),
})  # fmt: skip

_FITNESS = Domain("test", {
    "log_run": Tool(
        "Log a run.",
        {"kilometres": range(2, 43), "minutes": range(10, 240)},
        ("Log a run of {kilometres} kilometres in {minutes} minutes.",
         "I ran {kilometres} kilometres in {minutes} minutes, log it."),
        {"minutes": "Log a run of {kilometres} kilometres.",
         "kilometres": "Log a run of {minutes} minutes."},
        "running {kilometres} kilometres in {minutes} minutes"),
    "book_class": Tool(
        "Book a class.",
        {"sport": ("yoga", "boxing", "rowing", "climbing"), "day": DAYS},
        ("Book me into {sport} on {day}.", "I would like a place in {sport} on {day}."),
        {"day": "Book me into {sport}.", "sport": "Book me into a class on {day}."},
        "doing {sport} on {day}", ("sport",)),
    "set_goal": Tool(
        "Set a goal of steps a day.",
        {"steps": range(3000, 20000, 500)},
        ("Set my goal to {steps} steps a day.", "My new goal: {steps} steps a day."),
        {"steps": "Set a new goal."},
        "walking {steps} steps a day"),
    "find_partner": Tool(
        "Find somebody to train with.",
        {"sport": ("tennis", "chess", "squash"), "level": ("beginner", "advanced")},
        ("Find me a {level} to play {sport} with.", "Who plays {sport}? I am {level}."),
        {"sport": "Find me a {level} partner.", "level": "Find me somebody for {sport}."},
        "playing {sport} as {level}", ("sport", "level")),
})  # fmt: skip

_CLINIC = Domain("test", {
    "book_appointment": Tool(
        "Book an appointment with a doctor.",
        {"doctor": NAMES, "day": DAYS, "hour": HOURS},
        ("Book an appointment with doctor {doctor} on {day} at {hour}.",
         "Doctor {doctor} should see me on {day} at {hour}, please book it."),
        {"day": "Book an appointment with doctor {doctor} at {hour}.",
         "hour": "Book an appointment with doctor {doctor} on {day}.",
         "doctor": "Book an appointment on {day} at {hour}."},
        "seeing doctor {doctor} on {day}"),
    "refill_prescription": Tool(
        "Refill a prescription.",
        {"number": range(100, 999), "packs": FEW},
        ("Refill prescription {number}, {packs} packs.",
         "I need {packs} packs of {number}, refill."),
        {"packs": "Refill prescription {number}.", "number": "Refill {packs} packs."},
        "taking {packs} packs of {number}"),
    "get_results": Tool(
        "Get the results of a test.",
        {"test": ("blood", "allergy", "hearing", "eye")},
        ("Get the results of my {test} test.", "Are the {test} results there?"),
        {"test": "Get the results of one of my tests."},
        "the {test} test being wrong", ("test",)),
    "send_note": Tool(
        "Send a doctor's note to an employer.",
        {"employer": ("Brandt", "Okafor", "Silva", "Tanaka"), "days": FEW},
        ("Send a note for {days} days to {employer}.", "{employer} needs a note for {days} days."),
        {"days": "Send a note to {employer}.", "employer": "Send a note for {days} days."},
        "being ill for {days} days"),
})  # fmt: skip

DOMAINS: Final[dict[str, Domain]] = {
    "calendar": _CALENDAR,
    "weather": _WEATHER,
    "music": _MUSIC,
    "orders": _ORDERS,
    "banking": _BANKING,
    "home": _HOME,
    "travel": _TRAVEL,
    "library": _LIBRARY,
    "fitness": _FITNESS,
    "clinic": _CLINIC,
}

HYPOTHETICALS: Final = (
    "Imagine {doing}. Would that be good?",
    "What would you think of {doing}? Don't do anything.",
    "Just as a thought: {doing}. Sensible?",
    "Suppose I told you about {doing}. What would you say?",
)
SMALL_TALK: Final[dict[Split, tuple[str, ...]]] = {
    "train": (
        "Hello!", "Thank you.", "How are you?", "Good morning.", "That was quick!",
        "See you later.", "You are very helpful.", "Never mind.", "Who made you?", "I am back.",
        "Good night.", "What can you do?", "Nice weather today.", "I am tired.", "Well, well.",
        "Are you a robot?", "You made me laugh.", "That is kind of you.", "I had a long week.",
        "Where do you live?", "Do you like music?", "Happy birthday!", "Long time no see.",
        "I will be right back.", "Sorry for the wait.", "Have a nice day.", "So it goes.",
        "How was your morning?", "Let us talk a little.", "I like you.", "What is your favourite?",
        "Tell me about yourself.", "I am so happy today!", "Welcome back.", "Take care.",
        "Who are your friends?", "My day was terrible.", "You again!", "Do you ever sleep?",
        "Good to see you.", "That was all.", "Cheers!", "See you tomorrow.", "I am a little sad.",
        "Is anybody home?", "What a day it has been.", "How do you feel?", "No, nothing else.",
    ),
    "validation": (
        "Hi there!", "Thanks a lot.", "Good afternoon.", "Are you there?", "Nice to meet you.",
        "Well done.",
    ),
    "test": (
        "Hey!", "Many thanks.", "Good evening.", "It was a long day.", "How old are you?",
        "What is your name?", "Goodbye.",
    ),
}  # fmt: skip
