"""What a house is made of: things, places and treatments, by category.

Names are those of ALFWorld (Shridhar et al., ICLR 2021), so that what is said here can be
said in the real games.
"""

from typing import Final

# Kinds of things. A world's conventions speak of these, never of single nouns, so that what
# is learned about one thing holds for its kin.
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

# Kinds of places, and whether instances of the kind usually have a door or a lid.
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

# Treatments, and the appliances among which a world's conventions share them out.
TREATMENTS: Final = ("clean", "cool", "heat")
APPLIANCES: Final = ("fridge", "microwave", "sinkbasin")
TREATABLE: Final[dict[str, tuple[str, ...]]] = {
    "clean": ("tableware", "cutlery", "cookware", "food", "cleaning"),
    "cool": ("tableware", "cookware", "food"),
    "heat": ("tableware", "food"),
}

# Kinds where things may be kept or asked to be put. Holders of one special thing are left out.
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
