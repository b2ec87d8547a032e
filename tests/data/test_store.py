import os
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Frozen, Message
from distil_dagster.data.store import ArtefactStore, _exchange, whole_folder
from distil_dagster.data.tables import preview, read_table, write_table


class Row(Frozen):
    name: str
    count: int = 0
    share: float | None = None
    yes: bool = False
    tags: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    anything: dict[str, int | None] = Field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    rows: list[Row]
    folder: Path
    note: str
    scores: dict[str, float]


# Text that no file could hold as UTF-8 never gets past the readers.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.lists(
    st.builds(
        Row,
        name=TEXT,
        count=st.integers(-(2**63), 2**63 - 1),
        share=st.none() | st.floats(allow_nan=False),
        tags=st.lists(TEXT).map(tuple),
        messages=st.lists(st.builds(Message, role=st.just("user"), content=TEXT)).map(tuple),
        anything=st.dictionaries(TEXT, st.none() | st.integers()),
    )
)


@given(ROWS)
def test_rows_read_back_as_they_were(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    write_table(path, rows, Row)
    assert read_table(path, Row) == rows


def test_equal_rows_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_table(tmp_path / name, [Row(name="a", tags=("x",))], Row)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_artefact_is_stored_and_loaded(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    (made / "file.txt").write_text("content")
    store = ArtefactStore(tmp_path / "root")
    store.save("asset", "one", Sample([Row(name="a")], made, "note", {"x": 0.5}))
    loaded = store.load("asset", "one", Sample)
    assert (loaded.rows, loaded.note, loaded.scores) == ([Row(name="a")], "note", {"x": 0.5})
    assert (loaded.folder / "file.txt").read_text() == "content"


def test_a_second_version_replaces_the_first_as_a_whole(tmp_path):
    store = ArtefactStore(tmp_path)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        store.save("asset", None, Sample([], tmp_path / name, name, {}))
    assert store.load("asset", None, Sample).note == "second"
    assert [path.name for path in (tmp_path / "asset").iterdir()] == ["all"]


def test_a_folder_that_failed_half_way_is_never_seen(tmp_path):
    target = tmp_path / "artefact"

    def fail() -> None:
        with whole_folder(target) as folder:
            (folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_dataclass_cannot_be_stored(tmp_path):
    with pytest.raises(TypeError, match="dataclass"):
        ArtefactStore(tmp_path).save("asset", None, {"a": 1})


def test_previews_keep_their_table_whatever_the_cells_hold():
    table = preview([{"a": "x|y\nz", "b": 0.12345}, {"a": "<script>", "b": None}])
    assert table.split("\n")[2:] == ["| x\\|y z | 0.123 |", "| &lt;script> |  |"]


def test_equal_conversations_have_equal_ids_wherever_they_came_from():
    messages = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    assert Example(messages=messages, source="x").id == Example(messages=messages, source="y").id
    assert Example(messages=messages).id != Example(messages=messages, context="c").id


@dataclass(frozen=True)
class OlderSample:
    note: str


@dataclass(frozen=True)
class NewerSample:
    note: str
    warning: str = "none"


def test_what_an_older_version_did_not_write_has_its_default(tmp_path):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("so"))
    assert store.load("sample", "letters", NewerSample) == NewerSample("so")


def test_a_partition_can_be_given_the_artefact_of_another(tmp_path):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("so"))
    assert store.copy("sample", "letters", "copied") == str(tmp_path / "sample" / "copied")
    store.save("sample", "letters", OlderSample("changed"))
    assert store.load("sample", "copied", OlderSample) == OlderSample("so")
    with pytest.raises(FileNotFoundError):
        store.copy("sample", "missing", "other")


def test_the_store_knows_which_partitions_have_an_artefact(tmp_path):
    store = ArtefactStore(tmp_path)
    for partition in ("letters", "boats"):
        store.save("sample", partition, OlderSample("so"))
    store.folder("sample", "nothing").mkdir()
    (tmp_path / "sample" / ".letters.1.part").mkdir()
    assert store.partitions("sample") == ["boats", "letters"]
    assert store.partitions("other") == []
    assert store.exists("sample", "boats")
    assert not store.exists("sample", "nothing")


def test_people_are_shown_the_path_also_before_an_artefact_stands(tmp_path):
    store = ArtefactStore(tmp_path)
    before = store.location("sample", "letters")
    assert before == store.save("sample", "letters", OlderSample("so")) == str(tmp_path / "sample" / "letters")


def test_work_stands_below_the_root_unless_it_has_a_place_of_its_own(tmp_path):
    assert ArtefactStore(tmp_path).work_folder("sample", "a") == tmp_path / ".work" / "sample" / "a"
    elsewhere = ArtefactStore(tmp_path, tmp_path / "work").work_folder("sample", "a")
    assert elsewhere == tmp_path / "work" / "sample" / "a"
    assert elsewhere.is_dir()


def test_an_artefact_can_be_removed_and_no_other_goes_with_it(tmp_path):
    store = ArtefactStore(tmp_path)
    for partition in ("letters", "boats"):
        store.save("sample", partition, OlderSample("so"))
    store.remove("sample", "letters")
    store.remove("sample", "never")
    assert store.partitions("sample") == ["boats"]
    assert [path.name for path in (tmp_path / "sample").iterdir()] == ["boats"]


@pytest.fixture
def exchange(tmp_path):
    """A file system that lets two folders change places, or the test is left out."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    if not _exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot let two folders change places")


@pytest.fixture
def no_exchange(monkeypatch):
    """A file system, or a system, that cannot let two folders change places."""
    monkeypatch.setattr("distil_dagster.data.store._exchange", lambda *_: False)


class Killed(BaseException):
    """Stands for a kill: what would have come after it does not."""


@pytest.fixture
def killed_between(no_exchange, monkeypatch):
    """A write of the artefact `sample` of `letters` that is killed when the old one has stepped aside."""

    def write(store: ArtefactStore, text: str) -> None:
        replace = Path.replace

        def die(self: Path, target: Path) -> Path:
            replace(self, target)
            if self == store.folder("sample", "letters"):
                raise Killed
            return target

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", die)
            with pytest.raises(Killed):
                store.save("sample", "letters", OlderSample(text))
        assert not store.folder("sample", "letters").exists()

    return write


@pytest.mark.usefixtures("exchange")
def test_an_artefact_that_is_replaced_stands_after_each_step(tmp_path, monkeypatch):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("first"))
    replace, stands = Path.replace, []

    def look(self: Path, target: Path) -> Path:
        replace(self, target)
        stands.append(store.folder("sample", "letters").exists())
        return target

    monkeypatch.setattr(Path, "replace", look)
    store.save("sample", "letters", OlderSample("second"))
    assert all(stands)
    assert store.load("sample", "letters", OlderSample) == OlderSample("second")


@pytest.mark.usefixtures("exchange")
def test_a_reader_never_misses_an_artefact_that_is_replaced(tmp_path):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("0"))

    def write() -> None:
        for number in range(200):
            store.save("sample", "letters", OlderSample(str(number)))

    writer = threading.Thread(target=write)
    writer.start()
    found = [os.path.exists(store.folder("sample", "letters"))]  # noqa: PTH110 # the quickest look there is
    while writer.is_alive():
        found.append(os.path.exists(store.folder("sample", "letters")))  # noqa: PTH110
    assert all(found)
    assert store.load("sample", "letters", OlderSample) == OlderSample("199")
    assert [path.name for path in (tmp_path / "sample").iterdir()] == ["letters"]


def test_without_an_exchange_a_second_version_replaces_the_first_all_the_same(tmp_path, no_exchange):
    store = ArtefactStore(tmp_path)
    for text in ("first", "second"):
        store.save("sample", "letters", OlderSample(text))
    assert store.load("sample", "letters", OlderSample) == OlderSample("second")
    assert [path.name for path in (tmp_path / "sample").iterdir()] == ["letters"]


def test_an_artefact_whose_writer_was_killed_between_two_renames_is_found_again(tmp_path, killed_between):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("first"))
    killed_between(store, "never seen")
    assert store.load("sample", "letters", OlderSample) == OlderSample("first")
    store.save("sample", "letters", OlderSample("next"))
    assert [path.name for path in (tmp_path / "sample").iterdir()] == ["letters"]


def test_what_another_partition_has_lost_is_not_taken_for_ones_own(tmp_path):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters.2", OlderSample("so"))
    store.folder("sample", "letters.2").rename(tmp_path / "sample" / f".letters.2.{uuid.uuid4().hex}.old")
    assert not store.exists("sample", "letters")
    assert store.exists("sample", "letters.2")


@pytest.mark.parametrize("way", ["exists", "copied"])
def test_whoever_asks_for_a_lost_artefact_finds_it(tmp_path, killed_between, way):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("first"))
    killed_between(store, "never seen")
    if way == "exists":
        assert store.exists("sample", "letters")
    else:
        store.copy("sample", "letters", "boats")
        assert store.load("sample", "boats", OlderSample) == OlderSample("first")


def test_a_writer_is_not_hindered_by_a_reader_that_brings_the_old_one_back(tmp_path, no_exchange, monkeypatch):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("first"))
    replace, read = Path.replace, []

    def read_between(self: Path, target: Path) -> Path:
        replace(self, target)
        if self == store.folder("sample", "letters") and not read:
            read.append(store.load("sample", "letters", OlderSample))
        return target

    monkeypatch.setattr(Path, "replace", read_between)
    store.save("sample", "letters", OlderSample("second"))
    assert read == [OlderSample("first")]
    assert store.load("sample", "letters", OlderSample) == OlderSample("second")
    assert [path.name for path in (tmp_path / "sample").iterdir()] == ["letters"]


def test_what_was_removed_does_not_come_back_from_a_write_that_was_killed(tmp_path):
    store = ArtefactStore(tmp_path)
    for partition in ("letters", "boats"):
        store.save("sample", partition, OlderSample(partition))
    (tmp_path / "sample" / "boats").rename(tmp_path / "sample" / f".letters.{uuid.uuid4().hex}.old")
    store.remove("sample", "letters")
    assert not store.exists("sample", "letters")


def test_what_was_removed_does_not_come_back_from_a_removal_that_was_killed(tmp_path, monkeypatch):
    store = ArtefactStore(tmp_path)
    store.save("sample", "letters", OlderSample("so"))
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    store.remove("sample", "letters")
    assert not store.exists("sample", "letters")
