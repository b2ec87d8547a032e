"""Training and asking the student: a program of its own, started by hand or by Dagster.

python -m distil_dagster.training.worker JOB.json
"""
