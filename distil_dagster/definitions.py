"""What Dagster loads: the assets and their checks, the job, the resources, the executor."""

import dagster as dg

from distil_dagster.assets import data, delivery, evaluation, traces, training
from distil_dagster.orchestration import inputs
from distil_dagster.orchestration.executors import device_executor
from distil_dagster.orchestration.partitions import configs
from distil_dagster.orchestration.resources import CONFIG_KEY, RETUNE_TAG, DistilConfig
from distil_dagster.orchestration.storage import STORE_KEY, ArtefactIOManager, Store, default_root

_PHASES = [traces, data, training, evaluation, delivery]

store = Store(root=default_root())

distil_job = dg.define_asset_job(
    "distil",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(evaluation.leaderboard),
    partitions_def=configs,
    description="From traces to a tested small model, for one configuration.",
)

retune_job = dg.define_asset_job(
    "retune",
    selection=dg.AssetSelection.assets(
        training.sft_adapter, training.rlvr_adapter, evaluation.eval_report, delivery.model_bundle
    ),
    partitions_def=configs,
    tags={RETUNE_TAG: "true"},
    description="Trains again from the synthetic dataset as it is, with another student or other tuning; buys no data.",
)

rank_job = dg.define_asset_job(
    "rank",
    selection=dg.AssetSelection.assets(evaluation.leaderboard),
    description="All configurations that have a report, side by side.",
)

defs = dg.Definitions(
    assets=[*inputs.specs, *dg.load_assets_from_modules(_PHASES)],
    asset_checks=dg.load_asset_checks_from_modules(_PHASES),
    jobs=[distil_job, retune_job, rank_job],
    resources={
        CONFIG_KEY: DistilConfig.configure_at_launch(),
        STORE_KEY: store,
        "io_manager": ArtefactIOManager(store=store),
    },
    executor=device_executor,
)
