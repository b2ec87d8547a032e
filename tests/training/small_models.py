"""Random models whose layers keep different states: keys and values, sliding windows of them, convolutions."""


def small_model(student, model_type="llama"):
    """The student, or a random model of another kind with its vocabulary."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, Gemma3TextConfig, Lfm2Config

    from distil_dagster.training.models import load_base

    if model_type == "llama":
        return load_base(student, dtype=torch.float32)
    shape = {
        "vocab_size": AutoConfig.from_pretrained(student).vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "initializer_range": 0.3,
    }
    kinds = {
        "gemma3_text": lambda: Gemma3TextConfig(**shape, num_hidden_layers=6, head_dim=16, sliding_window=8),
        "lfm2": lambda: Lfm2Config(**shape, layer_types=["conv", "full_attention", "conv"], num_hidden_layers=3),
    }
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(kinds[model_type]())
