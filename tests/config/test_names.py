from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config.names import did_you_mean, nearest, shown


def test_the_nearest_name_is_found_whatever_its_case() -> None:
    assert nearest("qwen3-0.6b", ["Qwen3-0.6B", "Qwen3-1.7B"]) == "Qwen3-0.6B"


def test_nothing_alike_has_no_nearest_name() -> None:
    assert nearest("zzz", ["alpha", "beta"]) is None


def test_where_nothing_is_alike_all_names_are_offered() -> None:
    assert did_you_mean("zzz", ["alpha", "beta"]) == "known are alpha, beta"


@given(st.lists(st.text(min_size=1), min_size=1, unique_by=str.casefold))
def test_a_known_name_is_nearest_to_itself(names: list[str]) -> None:
    assert nearest(names[0], names) == names[0]


def test_values_are_shown_as_a_file_writes_them() -> None:
    assert [shown(value) for value in (None, True, False, 0, "x")] == ["null", "true", "false", "0", "'x'"]


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_shown_value_is_never_long(value: object) -> None:
    assert len(shown(value)) < 4000


def test_a_long_text_is_cut() -> None:
    assert len(shown("x" * 10_000)) == 80
