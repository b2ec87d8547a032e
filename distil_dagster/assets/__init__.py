"""The pipeline as Dagster assets, one file a phase: each names inputs, calls the core, attaches metadata."""
