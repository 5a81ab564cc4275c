"""The nouns of the household: things, places and treatments, by category.

The names are those of ALFWorld (Shridhar et al., ICLR 2021), so every sentence about them is also
valid in the real games.
"""

from typing import Final

# Things by category. A world's conventions name categories and not single nouns, so a fact about
# one thing also holds for the other things of its category.
THINGS: Final[dict[str, tuple[str, ...]]] = {
    "tableware": ("bowl", "cup", "mug", "plate", "glassbottle", "winebottle"),
    "cutlery": ("butterknife", "fork", "knife", "ladle", "spatula", "spoon"),
    "cookware": ("kettle", "pan", "pot"),
    "food": ("apple", "bread", "egg", "lettuce", "potato", "tomato"),
    "spice": ("peppershaker", "saltshaker"),
    "cleaning": (
        "cloth",
        "dishsponge",
        "plunger",
        "scrubbrush",
        "soapbar",
        "soapbottle",
        "spraybottle",
    ),
    "paper": ("book", "newspaper", "papertowel", "papertowelroll", "tissuebox", "toiletpaper"),
    "linen": ("handtowel", "pillow", "teddybear", "towel"),
    "electronics": ("alarmclock", "cd", "cellphone", "laptop", "remotecontrol"),
    "valuables": ("creditcard", "keychain", "watch"),
    "writing": ("pen", "pencil"),
    "decor": ("box", "candle", "houseplant", "statue", "vase", "wateringcan"),
    "sport": ("baseballbat", "basketball", "boots", "tennisracket"),
    "lamp": ("desklamp", "floorlamp"),
}
CATEGORY: Final = {thing: category for category, things in THINGS.items() for thing in things}

# Kinds of places; True if most places of the kind have a door or a lid.
PLACES: Final[dict[str, bool]] = {
    "armchair": False,
    "bathtubbasin": False,
    "bed": False,
    "cabinet": True,
    "cart": False,
    "coffeemachine": False,
    "coffeetable": False,
    "countertop": False,
    "desk": False,
    "diningtable": False,
    "drawer": True,
    "dresser": False,
    "fridge": True,
    "garbagecan": False,
    "handtowelholder": False,
    "laundryhamper": False,
    "microwave": True,
    "ottoman": False,
    "safe": True,
    "shelf": False,
    "sidetable": False,
    "sinkbasin": False,
    "sofa": False,
    "stoveburner": False,
    "toaster": False,
    "toilet": False,
    "toiletpaperhanger": False,
    "towelholder": False,
    "tvstand": False,
}

# Treatments and appliances. In each world, every appliance performs one treatment.
TREATMENTS: Final = ("clean", "cool", "heat")
APPLIANCES: Final = ("fridge", "microwave", "sinkbasin")
TREATABLE: Final[dict[str, tuple[str, ...]]] = {
    "clean": ("tableware", "cutlery", "cookware", "food", "cleaning"),
    "cool": ("tableware", "cookware", "food"),
    "heat": ("tableware", "food"),
}

# Kinds of places that may store things and may be targets. Holders of one special thing, such as
# a towel holder, are not among them.
STORES: Final = (
    "armchair",
    "bathtubbasin",
    "bed",
    "cabinet",
    "cart",
    "coffeemachine",
    "coffeetable",
    "countertop",
    "desk",
    "diningtable",
    "drawer",
    "dresser",
    "fridge",
    "garbagecan",
    "laundryhamper",
    "microwave",
    "ottoman",
    "safe",
    "shelf",
    "sidetable",
    "sinkbasin",
    "sofa",
    "stoveburner",
    "toilet",
    "tvstand",
)

FAMILIES: Final = ("pick", "light", "clean", "heat", "cool", "two")
