"""The pipeline as Dagster assets, one file a phase: each names its inputs, calls the core once and attaches metadata."""
