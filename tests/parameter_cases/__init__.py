"""What each parameter of a configuration changes, shown on small runs: one file a section."""

import pytest

# pytest explains failed assertions of test modules; of other modules only when asked before they are imported.
pytest.register_assert_rewrite(
    *(f"{__name__}.{section}" for section in ("base", "tuning", "evaluation", "synthgen", "trace_processing"))
)
