"""How well each model does: metrics, judging, paired statistics, verdicts and the report."""
