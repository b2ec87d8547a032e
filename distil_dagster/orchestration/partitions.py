"""One partition for each configuration that was in the folder when the definitions were loaded."""

import dagster as dg

from distil_dagster.orchestration.config_files import config_folder, config_paths

configs = dg.StaticPartitionsDefinition(list(config_paths(config_folder())))
