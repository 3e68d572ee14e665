"""Note texts: enough of them, of realistic size, and without a word that blames a child."""

from random import Random

import msgspec

from server.demo.describe import describe
from server.demo.phrases import FIELDS, THEME_OF, NoteTexts, look, note_texts, templates
from server.demo.population import population
from sync.vocabulary import Category, phrases_to_reconsider

MORE_BLAME = (
    "attention seeking", "lies", "liar", "manipulative", "chose to", "her own fault", "his own fault",
    "known to police", "refuses to engage", "failed to engage", "runaway", "prostitut", "sexually active",
    "asking for it",
)  # fmt: skip


def everything() -> list[str]:
    themes = sorted(set(THEME_OF.values()))
    return [line for theme in themes for field in FIELDS for line in templates(theme, field)]


def test_every_theme_has_at_least_sixty_sentences_none_twice() -> None:
    assert set(THEME_OF) == set(Category)
    for theme in set(THEME_OF.values()):
        lines = [line for field in FIELDS for line in templates(theme, field)]
        assert len(lines) >= 60
        assert len(lines) == len(set(lines))
    assert len(everything()) == len(set(everything()))


def test_no_sentence_blames_a_child() -> None:
    for line in everything():
        assert phrases_to_reconsider(line) == []
        assert not any(phrase in line.lower() for phrase in MORE_BLAME), line


def test_no_slot_is_left_open_and_sentences_end() -> None:
    rng = Random(1)
    for category in Category:
        for _ in range(100):
            for text in note_texts(category, rng):
                assert "{" not in text and "}" not in text
                assert text.rstrip('"')[-1] in ".?!"
    assert look(3, rng) and look(15, rng)


def test_a_note_is_600_to_1500_bytes_with_its_subject() -> None:
    rng, sizes = Random(2), []
    for child in population(3, 1000):
        texts: NoteTexts = note_texts(list(Category)[int(rng.random() * len(Category))], rng)
        body = {"category": "neglect", "observed_at": "2026-03-02T14:05:00+00:00", **texts._asdict()}
        body |= {"recorded_at": "2026-03-02T14:09:00+00:00", "subjects": [describe(child, rng).subject]}
        sizes.append(len(msgspec.json.encode(body)))
    sizes.sort()
    print(f"bytes of a note: least {sizes[0]}, median {sizes[500]}, most {sizes[-1]}")
    assert sizes[10] >= 600 and sizes[-10] <= 1500


def test_the_same_seed_writes_the_same_note() -> None:
    assert note_texts(Category.MISSING, Random(9)) == note_texts(Category.MISSING, Random(9))
