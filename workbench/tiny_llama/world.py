"""The Lantern Isles: a small made-up world, the only thing tiny-llama ever reads about.

    ISLANDERS["Bimdle"]             -> Islander(species, home, job, food)
    question(Skill.HOME, "Bimdle")  -> Question(("Where does Bimdle live?", …), "Bimdle lives in …")

Everything is drawn once from a fixed seed, so a fact never differs between the corpus and the chat rows. What
is *said* about the world lies in `corpus` (plain documents) and `chat` (conversations).
"""

import random
from dataclasses import dataclass
from enum import StrEnum

_SPECIES = "fox badger otter owl hare mole toad heron mouse hedgehog squirrel goose".split()
TOWNS = (
    "Fernhollow Saltmere Owlbridge Pebbleton Mistford Applewick Gullhaven Thistledown Foxglove Kettlebay "
    "Larkspur Moonharbor Reedwater Snowdrop Willowend Amberly"
).split()
_JOBS = (
    "baker sailor painter gardener fiddler clockmaker teacher fisher potter weaver miller beekeeper cobbler "
    "librarian lamplighter carpenter"
).split()
FOODS = (
    "plum jam,honey cake,onion soup,apple pie,roast nuts,warm bread,fish stew,mint tea,berry tart,pea soup,"
    "ginger buns,sweet corn,goat cheese,lemon ice,oat porridge,pear juice"
).split(",")
OPPOSITE_PAIRS = tuple(
    (pair.split("/")[0], pair.split("/")[1])
    for pair in (
        "hot/cold big/small up/down day/night fast/slow happy/sad young/old wet/dry hard/soft light/dark "
        "open/closed full/empty rich/poor loud/quiet early/late near/far left/right clean/dirty sweet/sour "
        "thick/thin wide/narrow high/low long/short strong/weak brave/afraid good/bad true/false first/last "
        "inside/outside over/under front/back begin/end push/pull give/take buy/sell win/lose laugh/cry "
        "sink/float rise/fall love/hate east/west north/south summer/winter friend/enemy noisy/silent "
        "smooth/rough sharp/blunt tight/loose heavy/feathery calm/stormy polite/rude wise/foolish busy/idle "
        "asleep/awake above/below arrive/leave build/break add/remove more/less many/few always/never "
        "same/different easy/difficult fresh/stale deep/shallow tame/wild safe/dangerous tall/tiny kind/cruel "
        "proud/humble bright/dim"
    ).split()
)
OPPOSITE = {word: other for x, y in OPPOSITE_PAIRS for word, other in ((x, y), (y, x))}
PLURAL = dict(
    pair.split("/")
    for pair in (
        "boat/boats lamp/lamps door/doors hat/hats bell/bells kite/kites map/maps coat/coats spoon/spoons "
        "drum/drums rope/ropes stone/stones cloud/clouds river/rivers garden/gardens candle/candles "
        "basket/baskets apple/apples nut/nuts shell/shells box/boxes dish/dishes brush/brushes bench/benches "
        "peach/peaches glass/glasses match/matches wish/wishes bus/buses torch/torches berry/berries "
        "cherry/cherries lady/ladies story/stories city/cities daisy/daisies puppy/puppies pony/ponies "
        "penny/pennies lily/lilies leaf/leaves knife/knives wolf/wolves loaf/loaves shelf/shelves elf/elves "
        "scarf/scarves calf/calves goose/geese mouse/mice child/children foot/feet tooth/teeth man/men "
        "fox/foxes owl/owls badger/badgers otter/otters hare/hares mole/moles toad/toads heron/herons "
        "window/windows feather/feathers button/buttons lantern/lanterns anchor/anchors island/islands "
        "flower/flowers ladder/ladders teapot/teapots pillow/pillows pocket/pockets ribbon/ribbons "
        "barrel/barrels carrot/carrots tree/trees"
    ).split()
)
SPELLED = tuple(sorted(word for word in set(PLURAL) | set(OPPOSITE) if len(word) <= 5))
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_SHIFTS = {"after": 1, "before": -1, "two after": 2, "two before": -2}
PERSONAS = {
    "pirate": ("Arr! ", " Yo ho ho!"),
    "robot": ("Beep. ", " Boop."),
    "butler": ("Certainly. ", " At your service."),
    "granny": ("Oh my dear, ", " Have a cookie."),
}

Item = str | tuple[str, str] | tuple[int, int]


class Skill(StrEnum):
    """The kinds of question the islanders answer."""

    SPECIES = "species"
    HOME = "home"
    JOB = "job"
    FOOD = "food"
    SPELL = "spell"
    OPPOSITE = "opposite"
    PLURAL = "plural"
    CALENDAR = "calendar"
    COUNT = "count"
    SUM = "sum"


FACTS = (Skill.SPECIES, Skill.HOME, Skill.JOB, Skill.FOOD)


@dataclass(frozen=True, slots=True)
class Islander:
    """What there is to know about one inhabitant."""

    species: str
    home: str
    job: str
    food: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question in several wordings and its one right answer."""

    wordings: tuple[str, ...]
    answer: str


def _islanders(seed: int = 7) -> dict[str, Islander]:
    draw = random.Random(seed)
    stems = "Bim Dor Fen Gil Hob Jun Kip Lum Mop Nib Pip Quil Ros Tam Wil Zep".split()
    names = [stem + end for stem in stems for end in "berry dle mo lyn per sy wick".split()]
    draw.shuffle(names)
    return {
        name: Islander(draw.choice(_SPECIES), draw.choice(TOWNS), draw.choice(_JOBS), draw.choice(FOODS))
        for name in sorted(names[:64])
    }


ISLANDERS = _islanders()


def with_article(noun: str) -> str:
    """Put "a" or "an" before a noun."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def spelled(word: str) -> str:
    """Write a word letter by letter: "box" becomes "b-o-x"."""
    return "-".join(word)


def counted(first: int, last: int) -> str:
    """Write the numbers from first to last, both included."""
    return ", ".join(str(number) for number in range(first, last + 1))


def calendar_phrase(start: str, shift: str) -> str:
    """Name a day or month by its distance from another: "two days after Monday"."""
    unit = "day" if start in DAYS else "month"
    if shift.startswith("two "):
        return f"two {unit}s {shift.removeprefix('two ')} {start}"
    return f"the {unit} {shift} {start}"


def shifted(start: str, shift: str) -> str:
    """Find the day or month that a calendar phrase names."""
    ring = DAYS if start in DAYS else _MONTHS
    return ring[(ring.index(start) + _SHIFTS[shift]) % len(ring)]


def pool(skill: Skill) -> tuple[Item, ...]:
    """List everything that a skill can be asked about, in a fixed order."""
    if skill in FACTS:
        return tuple(ISLANDERS)
    return _POOLS[skill]


_POOLS: dict[Skill, tuple[Item, ...]] = {
    Skill.SPELL: SPELLED,
    Skill.OPPOSITE: tuple(sorted(OPPOSITE)),
    Skill.PLURAL: tuple(sorted(PLURAL)),
    Skill.CALENDAR: tuple((day, shift) for day in DAYS for shift in _SHIFTS)
    + tuple((month, shift) for month in _MONTHS for shift in ("after", "before")),
    Skill.COUNT: tuple((first, first + more) for first in range(1, 13) for more in range(2, 7)),
    Skill.SUM: tuple((x, y) for x in range(1, 13) for y in range(1, 13)),
}


def question(skill: Skill, item: Item) -> Question:
    """Word the question of one skill about one item.

    Raises:
        TypeError: The item is not of the kind that the skill asks about.
    """
    if isinstance(item, str):
        return _question_about_name(skill, item) if skill in FACTS else _question_about_word(skill, item)
    x, y = item
    if isinstance(x, str) and isinstance(y, str):
        phrase = calendar_phrase(x, y)
        answer = f"{phrase[0].upper()}{phrase[1:]} is {shifted(x, y)}."
        return Question((f"What is {phrase}?", f"Please tell me {phrase}."), answer)
    if isinstance(x, int) and isinstance(y, int):
        return _question_about_numbers(skill, x, y)
    raise TypeError(f"skill {skill.value!r} cannot ask about {item!r}")


def _question_about_name(skill: Skill, name: str) -> Question:
    who = ISLANDERS[name]
    return {
        Skill.HOME: Question(
            (f"Where does {name} live?", f"In which town can I find {name}?"), f"{name} lives in {who.home}."
        ),
        Skill.JOB: Question(
            (f"What does {name} do?", f"What is the job of {name}?"),
            f"{name} works as {with_article(who.job)}.",
        ),
        Skill.FOOD: Question(
            (f"What does {name} like to eat?", f"Which food should I bring to {name}?"),
            f"{name} loves {who.food}.",
        ),
        Skill.SPECIES: Question(
            (f"What kind of animal is {name}?", f"Who is {name}?"), f"{name} is {with_article(who.species)}."
        ),
    }[skill]


def _question_about_word(skill: Skill, word: str) -> Question:
    if skill is Skill.SPELL:
        return Question((f"How do you spell {word}?", f"Spell the word {word}."), f"{spelled(word)}.")
    if skill is Skill.OPPOSITE:
        wordings = (f"What is the opposite of {word}?", f"Give me the opposite of {word}.")
        return Question(wordings, f"The opposite of {word} is {OPPOSITE[word]}.")
    wordings = (f"What is the plural of {word}?", f"I have one {word}. What are two?")
    return Question(wordings, f"One {word}, two {PLURAL[word]}.")


def _question_about_numbers(skill: Skill, x: int, y: int) -> Question:
    if skill is Skill.COUNT:
        return Question((f"Count from {x} to {y}.", f"Please count from {x} up to {y}."), f"{counted(x, y)}.")
    return Question((f"What is {x} plus {y}?", f"Add {x} and {y}."), f"{x} plus {y} is {x + y}.")
