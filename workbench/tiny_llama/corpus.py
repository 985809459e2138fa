"""Plain-text documents about the Lantern Isles: what tiny-llama reads before it ever chats.

    Corpus(seed=0).document()    ->  "Bimberry lives in Saltmere. Bimberry is a fox."

The documents are biographies, stories, school lessons, questions with answers in many layouts, sayings of the
personas and ledgers with JSON lines. None holds a chat marker: how to take turns and when to stop is left to
fine-tuning. Early documents say more about the islanders, late ones more about words, because facts are learned
first and spelling last.
"""

import json
import random
from dataclasses import dataclass

from workbench.tiny_llama import world
from workbench.tiny_llama.world import Skill


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind of document, lesson and question is drawn (weights, any scale)."""

    documents: dict[str, int]
    lessons: dict[Skill, int]
    questions: dict[Skill, int]


_LAYOUTS = (
    ("Q: ", "\nA: "),
    ("Visitor: ", "\nGuide: "),
    ("Child: ", "\nTeacher: "),
    ("- ", "\n- "),
    ("", "\n"),
    ("", " "),
    ('"', '" asked the visitor.\n'),
    ("Question\n", "\nAnswer\n"),
    ("* ", "\n\n"),
    ("> ", "\n> The guide said: "),
)
EARLY = Mix(
    documents={"biography": 16, "story": 8, "lessons": 30, "transcript": 46, "saying": 4, "ledger": 18},
    lessons={
        Skill.SPELL: 26,
        Skill.OPPOSITE: 10,
        Skill.PLURAL: 8,
        Skill.CALENDAR: 18,
        Skill.COUNT: 10,
        Skill.SUM: 24,
    },
    questions={
        Skill.SPECIES: 9,
        Skill.HOME: 9,
        Skill.JOB: 9,
        Skill.FOOD: 9,
        Skill.SPELL: 16,
        Skill.OPPOSITE: 8,
        Skill.PLURAL: 6,
        Skill.CALENDAR: 12,
        Skill.COUNT: 8,
        Skill.SUM: 16,
    },
)
LATE = Mix(
    documents={"biography": 8, "story": 4, "lessons": 32, "transcript": 54, "saying": 4, "ledger": 18},
    lessons={
        Skill.SPELL: 30,
        Skill.OPPOSITE: 12,
        Skill.PLURAL: 10,
        Skill.CALENDAR: 16,
        Skill.COUNT: 8,
        Skill.SUM: 20,
    },
    questions={
        Skill.SPECIES: 7,
        Skill.HOME: 7,
        Skill.JOB: 7,
        Skill.FOOD: 7,
        Skill.SPELL: 20,
        Skill.OPPOSITE: 10,
        Skill.PLURAL: 8,
        Skill.CALENDAR: 12,
        Skill.COUNT: 6,
        Skill.SUM: 14,
    },
)
# Most questions come in their first wording; now and then the second, so that both are known to mean the same.
_SECOND_WORDING = 0.25
_PERSONA_IN_TRANSCRIPT = 0.25


def letter_json(name: str, town: str) -> str:
    """Write the tool call that sends a letter."""
    return json.dumps({"tool": "letter", "to": name, "town": town})


def ship_json(town: str, day: str) -> str:
    """Write the tool call that books the ship."""
    return json.dumps({"tool": "ship", "town": town, "day": day})


def parcel_json(name: str, food: str, town: str) -> str:
    """Write the tool call that sends a parcel."""
    return json.dumps({"tool": "parcel", "from": name, "item": food, "town": town})


class Corpus:
    """An endless, reproducible stream of documents."""

    def __init__(self, seed: int, mix: Mix = EARLY) -> None:
        """Start the stream.

        Args:
            seed: The same seed and mix give the same documents.
            mix: What to write about; may be replaced between documents.
        """
        self.mix = mix
        self._draw = random.Random(seed)
        self._names = list(world.ISLANDERS)
        self._writers = {
            "biography": self._biography,
            "story": self._story,
            "lessons": self._lessons,
            "transcript": self._transcript,
            "saying": self._saying,
            "ledger": self._ledger,
        }

    def document(self) -> str:
        """Write the next document."""
        kinds = list(self.mix.documents)
        return self._writers[self._draw.choices(kinds, list(self.mix.documents.values()))[0]]()

    def _fact(self, name: str, kind: Skill) -> str:
        who = world.ISLANDERS[name]
        species, job = world.with_article(who.species), world.with_article(who.job)
        wordings = {
            Skill.SPECIES: (
                f"{name} is {species}.",
                f"{name} was born {species}.",
                f"Everyone knows that {name} is {species}.",
            ),
            Skill.HOME: (
                f"{name} lives in {who.home}.",
                f"{name} has a little house in {who.home}.",
                f"The home of {name} is {who.home}.",
                f"{name} comes from {who.home}.",
            ),
            Skill.JOB: (
                f"{name} works as {job}.",
                f"{name} is a {who.job} by trade.",
                f"The job of {name} is {who.job}.",
                f"{name} is the best {who.job} in town.",
            ),
            Skill.FOOD: (
                f"{name} loves {who.food}.",
                f"{name} likes {who.food} best.",
                f"The favorite food of {name} is {who.food}.",
                f"{name} eats {who.food} every day.",
            ),
        }
        return self._draw.choice(wordings[kind])

    def _biography(self) -> str:
        name = self._draw.choice(self._names)
        kinds = self._draw.sample(world.FACTS, self._draw.randint(2, 4))
        return " ".join(self._fact(name, kind) for kind in kinds)

    def _story(self) -> str:
        draw = self._draw
        one, two = draw.sample(self._names, 2)
        first, second = world.ISLANDERS[one], world.ISLANDERS[two]
        day = draw.choice(world.DAYS)
        opening = draw.choice(
            (
                f"One {day} morning, {one} the {first.species} left {first.home} and walked to {second.home}.",
                f"On {day}, {one} the {first.job} met {two} the {second.job} by the harbor.",
                f"It was {day} and the lanterns were lit. "
                f"{one} the {first.species} sat with {two} the {second.species}.",
            )
        )
        ending = draw.choice(
            (
                f"They shared some {first.food}, because {one} loves {first.food}.",
                f"Then {one} went home to {first.home}.",
                "The sea was calm and the stars came out.",
                f"{two} gave {one} some {first.food}, and {one} was very happy.",
                "They sang a song until the moon was high.",
            )
        )
        return f"{opening} {self._talk(one, two)} {ending}"

    def _talk(self, one: str, two: str) -> str:
        kind = self._draw.choice(world.FACTS)
        other = world.ISLANDERS[two]
        if self._draw.random() < 0.5:
            asked = world.question(kind, two)
            return f'"{asked.wordings[0]}" asked a traveler. "{asked.answer[:-1]}," said {one}.'
        to_you = {
            Skill.HOME: ("Where do you live?", f"I live in {other.home}"),
            Skill.JOB: ("What do you do?", f"I work as {world.with_article(other.job)}"),
            Skill.FOOD: ("What do you like to eat?", f"I love {other.food}"),
            Skill.SPECIES: ("What are you?", f"I am {world.with_article(other.species)}"),
        }
        asks, answer = to_you[kind]
        return f'"{asks}" asked {one}. "{answer}," said {two}.'

    def _saying(self) -> str:
        persona = self._draw.choice(list(world.PERSONAS))
        before, after = world.PERSONAS[persona]
        said = self._fact(self._draw.choice(self._names), self._draw.choice(world.FACTS))
        return self._draw.choice(
            (
                f'The {persona} in {self._draw.choice(world.TOWNS)} said, "{before}{said}{after}"',
                f"Asked for news, the {persona} said: {before}{said}{after}",
            )
        )

    def _ledger(self) -> str:
        draw = self._draw
        lines: list[str] = []
        for _ in range(draw.randint(1, 3)):
            name, town = draw.choice(self._names), draw.choice(world.TOWNS)
            food, day = draw.choice(world.FOODS), draw.choice(world.DAYS)
            letter, ship, parcel = (
                letter_json(name, town),
                ship_json(town, day),
                parcel_json(name, food, town),
            )
            entries = (
                (f"A letter to {name} in {town}.", letter),
                (f"Write a letter to {name} in {town}.", letter),
                (f"The ship to {town} leaves on {day}.", ship),
                (f"Book the ship to {town} on {day}.", ship),
                (f"{name} sends {food} to {town}.", parcel),
                (f"{name} wants to send {food} to {town}.", parcel),
            )
            lines.append(draw.choice((" ", "\n", " -> ")).join(draw.choice(entries)))
        return "\n".join(lines)

    def _lessons(self) -> str:
        skills = list(self.mix.lessons)
        drawn = self._draw.choices(skills, list(self.mix.lessons.values()), k=self._draw.randint(1, 4))
        place = f"At the school in {self._draw.choice(world.TOWNS)}. "
        opening = self._draw.choice(("", "", place))
        return opening + " ".join(self._lesson(skill, self._draw.choice(world.pool(skill))) for skill in drawn)

    def _lesson(self, skill: Skill, item: world.Item) -> str:
        if isinstance(item, str):
            return self._draw.choice(_word_lessons(skill, item))
        x, y = item
        if isinstance(x, str) and isinstance(y, str):
            phrase, found = world.calendar_phrase(x, y), world.shifted(x, y)
            wordings = [f"{phrase[0].upper()}{phrase[1:]} is {found}."]
            if not y.startswith("two "):
                wordings.append(f"{found} comes {y} {x}.")
            return self._draw.choice(wordings)
        return self._draw.choice(_number_lessons(skill, int(x), int(y)))

    def _transcript(self) -> str:
        draw = self._draw
        before_question, before_answer = draw.choice(_LAYOUTS)
        turns: list[str] = []
        before, after = "", ""
        if draw.random() < _PERSONA_IN_TRANSCRIPT:
            # Always announced: a voice from nowhere would also turn up in answers that asked for none.
            persona = draw.choice(list(world.PERSONAS))
            before, after = world.PERSONAS[persona]
            announcements = (
                f"Talk like a {persona}.",
                f"The {persona} answers.",
                f"Today the {persona} speaks.",
            )
            turns.append(draw.choice(announcements))
        skills = list(self.mix.questions)
        for skill in draw.choices(skills, list(self.mix.questions.values()), k=draw.randint(1, 3)):
            asked = world.question(skill, draw.choice(world.pool(skill)))
            wording = asked.wordings[1 if draw.random() < _SECOND_WORDING else 0]
            turns.append(f"{before_question}{wording}{before_answer}{before}{asked.answer}{after}")
        return "\n".join(turns)


def _word_lessons(skill: Skill, word: str) -> tuple[str, ...]:
    if skill is Skill.SPELL:
        letters = world.spelled(word)
        return (
            f"The word {word} is spelled {letters}.",
            f"To spell {word}, write {letters}.",
            f"{word.capitalize()}: {letters}.",
        )
    if skill is Skill.OPPOSITE:
        other = world.OPPOSITE[word]
        return (
            f"The opposite of {word} is {other}.",
            f"It is not {word}, it is {other}.",
            f"{word.capitalize()} and {other} are opposites.",
        )
    many = world.PLURAL[word]
    return (
        f"One {word}, two {many}.",
        f"The plural of {word} is {many}.",
        f"I had one {word}. Now I have many {many}.",
    )


def _number_lessons(skill: Skill, x: int, y: int) -> tuple[str, ...]:
    if skill is Skill.COUNT:
        numbers = world.counted(x, y)
        return f"Count from {x} to {y}: {numbers}.", f"The fiddler counted from {x} to {y}. {numbers}."
    return f"{x} plus {y} is {x + y}.", f"If you add {x} and {y}, you get {x + y}."
