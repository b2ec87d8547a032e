"""What a person can set: the sections of a configuration, the catalogue of models, the rules, and the files.

loaded = load_config(Path("configs/banking.yaml"))
loaded.config.tuning.learning_rate
"""

from distil_dagster.config.catalogue import Route, Student, Teacher, route_of, students, teachers
from distil_dagster.config.loading import LoadedConfig, load_config
from distil_dagster.config.pipeline import DataSettings, PipelineConfig, effective, non_default
from distil_dagster.config.sections import Base, Evaluation, Section, Synthgen, Task, TraceProcessing, Tuning

__all__ = [
    "Base",
    "DataSettings",
    "Evaluation",
    "LoadedConfig",
    "PipelineConfig",
    "Route",
    "Section",
    "Student",
    "Synthgen",
    "Task",
    "Teacher",
    "TraceProcessing",
    "Tuning",
    "effective",
    "load_config",
    "non_default",
    "route_of",
    "students",
    "teachers",
]
