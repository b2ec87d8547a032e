from argparse import ArgumentParser
from pathlib import Path

import pytest

from distil_dagster.simulator import Faults, Options, add_arguments, options_from


def parsed(*words):
    parser = ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--case", "folder", *words])


def test_a_bare_command_gives_the_defaults():
    arguments = parsed()
    assert options_from(arguments) == Options()
    assert (arguments.case, arguments.host, arguments.port) == (Path("folder"), "127.0.0.1", 8199)


def test_every_option_arrives():
    rates = ["--refuse-rate=0.1", "--fail-rate=0.2", "--hang-rate=0.01", "--cut-rate=0.02", "--garble-rate=0.03"]
    others = ["--seed=5", "--latency=0.5", "--retry-after=3", "--slots=8", "--stats-file=counts.json"]
    options = options_from(parsed(*rates, *others))
    assert options == Options(
        seed=5,
        latency=0.5,
        faults=Faults(refuse=0.1, fail=0.2, hang=0.01, cut=0.02, garble=0.03),
        retry_after=3.0,
        slots=8,
        stats_file=Path("counts.json"),
    )


def test_error_rates_are_for_all_models_or_for_one():
    options = options_from(parsed("--error-rate", "0.05", "--error-rate", "deepseek.v3.1=0.2"))
    assert options.error_rate_of("deepseek.v3.1") == 0.2
    assert options.error_rate_of("zai.glm-5") == 0.05


def test_a_model_is_known_by_the_last_part_of_its_name():
    options = options_from(parsed("--error-rate", "0.05", "--error-rate", "zai.glm-5=0.2"))
    assert options.error_rate_of("simulated/zai.glm-5") == 0.2
    assert options.error_rate_of("simulated/other") == 0.05


def test_a_model_without_a_rate_does_not_err():
    assert options_from(parsed("--error-rate", "a=0.2")).error_rate_of("b") == 0.0


@pytest.mark.parametrize("rate", ["1.5", "-0.1", "often", "a=b"])
def test_a_rate_that_is_no_share_is_refused(rate, capsys):
    with pytest.raises(SystemExit):
        parsed(f"--error-rate={rate}")
    assert "between 0 and 1" in capsys.readouterr().err
