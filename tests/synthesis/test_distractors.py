from random import Random

from hypothesis import given
from hypothesis import strategies as st
from synthesis.teachers import passage, row

from distil_dagster.synthesis.distractors import Distractors

# Few letters and blank lines, so that texts contain each other, and two of them together contain a third.
TEXTS = st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


@given(TEXTS, st.integers(0, 8), st.integers())
def test_the_golden_context_stands_in_the_text_exactly_once(texts, count, seed):
    rows = [row(text, number) for number, text in enumerate(texts)]
    mixed = Distractors(rows, count).mix(rows[0], Random(seed))
    at = mixed.text.find(texts[0])
    assert at >= 0
    assert texts[0] not in mixed.text[at + 1 :]
    assert len(mixed.sources) <= count
    assert len(set(mixed.sources) | {rows[0].source}) == len(mixed.sources) + 1


@given(st.integers(0, 9), st.integers(0, 12), st.integers())
def test_as_many_others_as_asked_for_stand_beside_it_or_all_there_are(golden, count, seed):
    rows = [row(passage(number), number) for number in range(10, 20)]
    mixed = Distractors(rows, count).mix(rows[golden], Random(seed))
    by_source = {each.source: each.text for each in rows}
    assert len(mixed.sources) == min(count, 9)
    blocks = mixed.text.split("\n\n")
    assert [block for block in blocks if block != rows[golden].text] == [by_source[source] for source in mixed.sources]


def test_every_place_and_every_other_context_occur():
    rows = [row(passage(number), number) for number in range(10, 16)]
    texts = [Distractors(rows, 2).mix(rows[0], Random(seed)) for seed in range(100)]
    assert {mixed.text.split("\n\n").index(rows[0].text) for mixed in texts} == {0, 1, 2}
    assert {source for mixed in texts for source in mixed.sources} == {each.source for each in rows[1:]}


def test_overlapping_pieces_of_one_document_never_make_the_golden_one_twice():
    rows = [row(f"Paragraph {n}.\n\nParagraph {n + 1}.", n) for n in range(10, 15)]
    golden = rows[2]
    for seed in range(50):
        assert Distractors(rows, 4).mix(golden, Random(seed)).text.count(golden.text) == 1


def test_none_asked_for_leaves_the_context_as_it_is():
    rows = [row(passage(number), number) for number in range(3)]
    assert Distractors(rows, 0).mix(rows[1], Random(1)).text == rows[1].text


def test_equal_seeds_draw_equal_contexts():
    rows = [row(passage(number), number) for number in range(50)]
    one, same, other = (Distractors(rows, 3).mix(rows[0], Random(seed)) for seed in (1, 1, 2))
    assert one == same != other
