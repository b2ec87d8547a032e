"""What the parameters of `tuning` change, on trainings of a student that is small enough for a second each."""

from parameter_cases import tuning_batches, tuning_optimiser, tuning_rlvr, tuning_weights
from parameter_cases.registry import Cases

cases = Cases()
for part in (tuning_optimiser, tuning_weights, tuning_batches, tuning_rlvr):
    cases.include(part.cases)
