"""The generate–validate loop: exemplars, mutators, balance, validation, similarity."""
