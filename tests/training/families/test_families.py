import json

import pytest

from distil_dagster.config.catalogue import students
from distil_dagster.training.families import FAMILIES, OTHER, family_of


@pytest.fixture
def folder(tmp_path):
    """Makes a folder whose configuration names an architecture."""

    def make(model_type):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        return tmp_path

    return make


def test_every_student_of_the_catalogue_is_tested(shape_of_student):
    assert shape_of_student.keys() == students().keys()


@pytest.mark.parametrize("name", students())
def test_a_student_is_told_to_be_of_its_family_by_its_folder(name, shape_of_student, load_chat):
    student, family = students()[name], load_chat(shape_of_student[name]).family
    assert (family.name, family.tool_format) == (student.family, student.tool_format)


@pytest.mark.parametrize("name", students())
def test_the_stop_tokens_of_a_family_are_those_of_its_templates_and_of_its_published_settings(
    name, shape_of_student, load_chat, published_ends
):
    chat = load_chat(shape_of_student[name])
    assert set(chat.tokenizer.convert_ids_to_tokens(sorted(chat.stop_ids))) == set(chat.family.stop_tokens)
    assert published_ends(shape_of_student[name]) <= set(chat.family.stop_tokens)


def test_equal_architectures_are_told_apart_by_their_vocabulary(folder):
    llama, gemma = folder("llama"), {"<start_of_turn>"}
    assert family_of(llama, {"<|start_header_id|>"}).name == "llama3"
    assert family_of(llama, {"<|im_start|>"}).name == "smollm2"
    assert family_of(folder("gemma3_text"), gemma).name == "gemma3"
    assert family_of(folder("gemma3_text"), gemma | {"<start_function_call>"}).name == "functiongemma"


@pytest.mark.parametrize(("model_type", "vocabulary"), [("mistral", {"<|im_start|>"}), ("llama", {"[INST]"})])
def test_an_unknown_architecture_or_vocabulary_is_of_no_family(folder, model_type, vocabulary):
    assert family_of(folder(model_type), vocabulary) is OTHER


def test_a_folder_without_a_configuration_is_of_no_family(tmp_path):
    assert family_of(tmp_path, {"<|im_start|>"}) is OTHER


def test_no_two_families_could_be_meant_by_one_folder():
    signs = [(family.model_type, family.marker) for family in FAMILIES]
    assert len(set(signs)) == len(signs)
    assert {family.name for family in FAMILIES} == {student.family for student in students().values()}
