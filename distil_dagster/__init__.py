"""From production traces to a small model that does the job, as Dagster assets."""

__version__ = "0.1.0"
