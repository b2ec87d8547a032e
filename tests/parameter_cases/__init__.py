"""What each parameter of a configuration changes, shown on small runs: one file a section."""

import pytest

_OF_TUNING = ("tuning_batches", "tuning_optimiser", "tuning_rlvr", "tuning_weights")
# pytest explains failed assertions of test modules; of other modules only when asked before they are imported.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("base", *_OF_TUNING, "evaluation", "synthgen", "trace_processing"))
)
