from workbench.tiny_llama import corpus, world
from workbench.tiny_llama.world import Skill


def test_the_world_is_the_same_every_time():
    assert len(world.ISLANDERS) == 64
    assert world._islanders() == world.ISLANDERS


def test_questions_have_the_right_answers():
    assert world.question(Skill.SPELL, "box").answer == "b-o-x."
    assert world.question(Skill.SUM, (7, 8)).answer == "7 plus 8 is 15."
    assert world.question(Skill.COUNT, (3, 6)).answer == "3, 4, 5, 6."
    assert world.question(Skill.CALENDAR, ("Sunday", "two after")).answer == "Two days after Sunday is Tuesday."
    assert world.question(Skill.CALENDAR, ("January", "before")).answer == "The month before January is December."


def test_every_item_of_every_pool_can_be_asked_in_two_wordings():
    for skill in Skill:
        for item in world.pool(skill):
            asked = world.question(skill, item)
            assert len(set(asked.wordings)) == 2
            assert asked.answer.endswith(".")


def test_the_same_seed_writes_the_same_documents():
    one, two, other = corpus.Corpus(3), corpus.Corpus(3), corpus.Corpus(4)
    documents = [one.document() for _ in range(200)]
    assert documents == [two.document() for _ in range(200)]
    assert documents != [other.document() for _ in range(200)]


def test_the_corpus_holds_no_chat_markers():
    for mix in (corpus.EARLY, corpus.LATE):
        written = corpus.Corpus(0, mix)
        text = "\n".join(written.document() for _ in range(2000))
        assert "<|" not in text
        assert "assistant" not in text
