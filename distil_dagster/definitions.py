"""What Dagster loads: the assets and their checks, the jobs, what starts them, the resources, the executor."""

import dagster as dg

from distil_dagster.assets import data, delivery, drift, evaluation, service, traces, training
from distil_dagster.orchestration import following, inputs, new_traces
from distil_dagster.orchestration.executors import default_executor
from distil_dagster.orchestration.partitions import configs
from distil_dagster.orchestration.resources import CONFIG_KEY, RETUNE_TAG, DistilConfig
from distil_dagster.orchestration.storage import STORE_KEY, ArtefactIOManager, Store, default_root

_PHASES = [traces, drift, data, training, evaluation, delivery, service]
_LEADERBOARD = dg.AssetSelection.assets(evaluation.leaderboard)
_DRIFT = dg.AssetSelection.assets(drift.trace_drift)

store = Store(root=default_root())

distil_job = dg.define_asset_job(
    "distil",
    selection=dg.AssetSelection.all() - _LEADERBOARD - _DRIFT,
    partitions_def=configs,
    description="From traces to a tested small model in service, for one configuration.",
)

retune_job = dg.define_asset_job(
    "retune",
    selection=dg.AssetSelection.assets(
        training.sft_adapter,
        training.rlvr_adapter,
        evaluation.eval_report,
        delivery.model_bundle,
        service.in_service,
    ),
    partitions_def=configs,
    tags={RETUNE_TAG: "true"},
    description="Trains again from the synthetic dataset as it is, with another student or other tuning; buys no data.",
)

check_traces_job = dg.define_asset_job(
    new_traces.CHECK_JOB,
    selection=_DRIFT,
    partitions_def=configs,
    description="Whether the traces that came since the last distillation are worth another; buys nothing.",
)

rank_job = dg.define_asset_job(
    "rank",
    selection=_LEADERBOARD,
    description="All configurations that have a report, side by side.",
)

leaderboard_follows = dg.AutomationConditionSensorDefinition(
    "leaderboard_follows",
    target=_LEADERBOARD,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ranks anew after each new report.",
)

defs = dg.Definitions(
    assets=[*inputs.specs, *dg.load_assets_from_modules(_PHASES)],
    jobs=[distil_job, retune_job, check_traces_job, rank_job],
    sensors=[following.configurations, new_traces.new_traces_sensor, new_traces.redistillation, leaderboard_follows],
    schedules=[new_traces.new_traces_schedule],
    resources={
        CONFIG_KEY: DistilConfig.configure_at_launch(),
        STORE_KEY: store,
        "io_manager": ArtefactIOManager(store=store),
    },
    executor=default_executor(),
)
