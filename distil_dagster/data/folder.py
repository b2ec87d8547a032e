"""A job's folder: job description, traces, and the user's own train, test and unstructured files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distil_dagster.data.examples import SetAside
from distil_dagster.data.files import read_records, set_aside
from distil_dagster.data.job import JobDescription, read_job_description
from distil_dagster.data.messages import Frozen
from distil_dagster.data.normalise import Unreadable
from distil_dagster.data.rows import ExampleFile, read_examples
from distil_dagster.errors import DataError

_EXAMPLES = (".jsonl", ".csv")


class UnstructuredRow(Frozen):
    """A text without an answer, and where it came from; `images` are the addresses of images that stand beside it."""

    text: str
    source: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnstructuredFile:
    """The texts of `unstructured.csv` or `.jsonl`, and the rows set aside."""

    rows: list[UnstructuredRow]
    set_aside: list[SetAside]


@dataclass(frozen=True)
class JobFolder:
    """Where one job's files stand; the files are read when asked for."""

    path: Path

    def job_description(self) -> JobDescription:
        """The job description.

        Raises:
            DataError: missing or unusable.
        """
        return read_job_description(self.path)

    @property
    def traces(self) -> Path | None:
        """The file of traces, where there is one."""
        return self._file("traces", (".jsonl",))

    @property
    def lacks(self) -> str | None:
        """What still has to be put here before a student can be made; nothing where all is there."""
        if self.traces is not None:
            return None
        missing = [name for name in ("train", "test") if self._file(name, _EXAMPLES) is None]
        return f"neither traces nor {' and '.join(missing)} examples" if missing else None

    def train(self) -> ExampleFile | None:
        """The user's own training rows; none where there is no such file."""
        return self._examples("train")

    def test(self) -> ExampleFile | None:
        """The user's own test rows; none where there is no such file."""
        return self._examples("test")

    def unstructured(self) -> UnstructuredFile | None:
        """The user's own texts without answers; none where there is no such file."""
        path = self._file("unstructured", _EXAMPLES)
        if path is None:
            return None
        found = read_records(path)
        result = UnstructuredFile([], list(found.set_aside))
        for record in found.records:
            text = record.values.get("context")
            if isinstance(text, str) and text.strip():
                result.rows.append(UnstructuredRow(text=text, source=f"{path.name}:{record.line}"))
            else:
                problem = Unreadable("bad_row", "context is missing or not text")
                result.set_aside.append(set_aside(path.name, record.line, problem, record.values))
        return result

    def _examples(self, name: str) -> ExampleFile | None:
        path = self._file(name, _EXAMPLES)
        return None if path is None else read_examples(path)

    def _file(self, name: str, extensions: tuple[str, ...]) -> Path | None:
        found = [path for extension in extensions if (path := self.path / f"{name}{extension}").is_file()]
        if len(found) > 1:
            raise DataError(f"{self.path}: holds {' and '.join(path.name for path in found)}; keep one of them")
        return found[0] if found else None
