import pytest
import yaml

from distil_dagster.errors import DataError
from distil_dagster.simulator.rules import read_rules


@pytest.fixture
def table(example_folder):
    return yaml.safe_load((example_folder / "rules.yaml").read_text(encoding="utf-8"))


def written(path, table):
    path.write_text(yaml.safe_dump(table), encoding="utf-8")
    return path


def test_a_rule_file_is_read_as_it_stands(table, tmp_path):
    rules = read_rules(written(tmp_path / "rules.yaml", table))
    assert rules.precedence == tuple(table["precedence"])
    assert rules.shapes.problem == table["shapes"]["problem"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"rules\.yaml: missing"):
        read_rules(tmp_path / "rules.yaml")


def test_what_is_not_yaml_is_named(tmp_path):
    (tmp_path / "rules.yaml").write_text("a: [")
    with pytest.raises(DataError, match="not valid YAML"):
        read_rules(tmp_path / "rules.yaml")


def test_a_missing_part_is_named(table, tmp_path):
    del table["problems"]
    with pytest.raises(DataError, match="problems: Field required"):
        read_rules(written(tmp_path / "rules.yaml", table))


def test_an_unknown_part_is_named(table, tmp_path):
    with pytest.raises(DataError, match="horoscopes"):
        read_rules(written(tmp_path / "rules.yaml", table | {"horoscopes": []}))


def test_an_unknown_shape_is_named(table, tmp_path):
    table["shapes"]["want"] = {"upside_down": 1}
    with pytest.raises(DataError, match=r"shapes\.want"):
        read_rules(written(tmp_path / "rules.yaml", table))
