import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.training.shared_prefix import can_share, fill, lay_out, prefix_cache, repeated, shared_length

ROWS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("prompts", "length"),
    [
        ([[1, 2, 3], [1, 2, 4]], 2),
        ([[1, 2], [1, 2]], 1),
        ([[1, 2, 3], [1, 2]], 1),
        ([[1], [2]], 0),
        ([[1, 2, 3]], 0),
        ([], 0),
    ],
)
def test_the_shared_prefix_leaves_every_prompt_a_token_of_its_own(prompts, length):
    assert shared_length(prompts) == length


@given(rows=ROWS)
def test_rows_end_at_the_right_edge_and_lose_nothing(rows):
    layout = lay_out(rows, shared_length(rows), pad_id=9)
    length = max(map(len, rows))
    for row, ids, mask in zip(rows, layout.input_ids, layout.attention_mask, strict=True):
        assert len(ids) == len(mask) == length
        assert [token for token, kept in zip(ids, mask, strict=True) if kept] == row
        assert ids[: layout.prefix] == row[: layout.prefix]
        assert ids[-1] == row[-1]
        assert all(token == 9 for token, kept in zip(ids, mask, strict=True) if not kept)


def test_the_filler_stands_between_the_prefix_and_the_rest():
    assert fill([[1, 2, 3], [1, 4]], 1, 0) == [[1, 2, 3], [1, 0, 4]]


def test_models_with_sliding_windows_or_states_do_not_share():
    assert can_share("llama")
    assert can_share("qwen3")
    assert not any(can_share(other) for other in ("gemma3_text", "lfm2", "mamba"))


def test_logits_after_a_shared_prefix_are_those_of_the_whole_rows(student):
    import torch

    from distil_dagster.training.models import load_base

    model = load_base(student, dtype=torch.float32).eval()
    rows = [[5, 6, 7, 8, 9, 10], [5, 6, 7, 11], [5, 6, 7, 12, 13]]
    layout = lay_out(rows, shared_length(rows), pad_id=2)
    ids, mask = torch.tensor(layout.input_ids), torch.tensor(layout.attention_mask)
    with torch.inference_mode():
        once = prefix_cache(model, ids[:1, : layout.prefix])
        cache = repeated(once, len(rows))
        positions = (mask.cumsum(1) - 1)[:, layout.prefix :]
        together = model(
            input_ids=ids[:, layout.prefix :], attention_mask=mask, position_ids=positions, past_key_values=cache
        ).logits[:, -1]
        alone = torch.stack([model(input_ids=torch.tensor([row])).logits[0, -1] for row in rows])
    assert layout.prefix == 3
    assert torch.allclose(together, alone, atol=1e-5)
    # What was computed once serves the next batch too.
    assert (once.get_seq_length(), len(once.layers[0].keys)) == (3, 1)
