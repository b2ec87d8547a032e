from distil_dagster.traces.drift_wording import label_sentence, named, percent, telling_words
from distil_dagster.traces.novelty import Asked, Side


def side(**counts):
    return Side([Asked((f"{label} {n}",), "", (label,)) for label, count in counts.items() for n in range(count)], 0)


def test_the_label_that_changed_most_is_named_with_both_shares():
    told, changed = label_sentence(side(refund=3, bills=97), side(refund=12, bills=88))
    assert told == "12% of the new traces are answered with `refund`, 3.0% before."
    assert set(changed) == {"refund", "bills"}


def test_a_small_label_that_is_new_is_told_before_a_large_one_that_moved_a_little():
    _, changed = label_sentence(side(bills=60, parcels=40), side(bills=55, parcels=40, garden=5))
    assert changed[0] == "garden"


def test_labels_never_seen_before_are_named_the_most_frequent_first():
    told, _ = label_sentence(side(bills=50), side(bills=20, a=2, b=9, c=3, d=4, slip=1))
    assert "Never seen before: `b` (9), `d` (4), `c` (3) and 1 more." in told
    assert "slip" not in told


def test_nothing_is_said_to_be_new_where_nothing_is():
    assert "Never seen" not in label_sentence(side(bills=50), side(bills=20))[0]


def test_the_words_that_changed_most_are_told_with_both_shares():
    words = telling_words(["the bill is due"] * 10, ["the bill is due"] * 7 + ["the Rose, the rose"] * 3)
    assert words[0].startswith("`rose` stands in 30% of the new texts, 0% before") or "bill" in words[0]
    assert any("`rose` stands in 30% of the new texts, 0% before" in word for word in words)
    assert not any("`the`" in word for word in words[:3])


def test_texts_without_words_tell_nothing():
    assert telling_words(["!?", ""], ["…"]) == ()


def test_names_are_shown_on_one_line_and_cut():
    assert named("I cannot\n  say") == "`I cannot say`"
    assert len(named("x" * 500)) == 62


def test_small_shares_have_a_decimal_and_none_has_none():
    assert [percent(share) for share in (0, 0.031, 0.25, 1)] == ["0%", "3.1%", "25%", "100%"]
