from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from distil_dagster.data.examples import Example
from distil_dagster.evaluation import report as report_module
from distil_dagster.evaluation.data_statistics import split_statistics
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole
from distil_dagster.evaluation.report import ReportFiles, write_report
from distil_dagster.evaluation.report_input import PhaseCounts, PhaseSpend, ReportInput, Setting
from distil_dagster.evaluation.summary import Evaluation, evaluate
from distil_dagster.tasks.base import Task

ATTACK = '<script>alert("x")</script>|**`\n# </textarea>'


@pytest.fixture
def files(full_report: ReportInput, tmp_path: Path) -> ReportFiles:
    return write_report(full_report, tmp_path / "report")


class Tags(HTMLParser):
    """Collects tags and their attributes, and demands that they nest."""

    VOID = frozenset({"meta", "img", "source", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def small(evaluation: Evaluation) -> ReportInput:
    return ReportInput(title="Small", task="question-answering", created="2025-01-02", evaluation=evaluation)


def attacked(model: ModelPredictions) -> ModelPredictions:
    changes = {"question": ATTACK, "context": ATTACK, "answer": ATTACK, "prediction": f"{model.model} {ATTACK}"}
    rows = [row.model_copy(update=changes) for row in model.rows]
    return model.model_copy(update={"label": ATTACK, "rows": tuple(rows)})


def test_every_file_lies_in_the_folder(files: ReportFiles, tmp_path: Path) -> None:
    written = {str(path.relative_to(files.folder)) for path in files.folder.rglob("*") if path.is_file()}
    assert written == {
        "report.md",
        "report.html",
        "metrics.json",
        "confusion.png",
        "training-1.png",
        "training-2.png",
        *(f"predictions/{role}.jsonl" for role in ("original", "teacher", "base", "sft", "rlvr")),
    }
    assert [path.name for path in files.pictures] == ["confusion.png", "training-1.png", "training-2.png"]
    assert all(path.is_file() for path in files.predictions.values())


def test_the_html_report_stands_alone_and_nests(files: ReportFiles) -> None:
    tags = tags_of(files.html.read_text())
    addresses = [attrs.get(name) for _, attrs in tags.seen for name in ("src", "srcset", "href") if name in attrs]
    assert len(addresses) == 6
    assert all(address and address.startswith("data:image/png;base64,") for address in addresses)
    assert not {"link", "script", "iframe"} & {tag for tag, _ in tags.seen}


def test_the_html_report_has_a_dark_scheme_and_dark_pictures(files: ReportFiles) -> None:
    html = files.html.read_text()
    assert "@media (prefers-color-scheme: dark)" in html
    assert html.count('media="(prefers-color-scheme: dark)"') == 3


def test_the_embedded_picture_is_the_one_beside_the_markdown(files: ReportFiles) -> None:
    embedded = re.findall(r'<img src="data:image/png;base64,([^"]+)"', files.html.read_text())
    assert [base64.b64decode(picture) for picture in embedded] == [path.read_bytes() for path in files.pictures]


def test_both_reports_open_with_notice_verdict_and_reason(files: ReportFiles, full_report: ReportInput) -> None:
    verdict = full_report.evaluation.student_verdict
    markdown, html = files.markdown.read_text(), files.html.read_text()
    assert markdown.startswith(
        "# Banking intents\n\nclassification, 2025-11-22\n\n> **Note:** The teacher's answers in"
    )
    assert f"## {verdict.verdict}\n\n{verdict.sentence}\n" in markdown
    assert '<p class="notice" role="note">The teacher&#39;s answers in this run come from a simulator.</p>' in html
    assert f'<p class="word">{verdict.verdict}</p>' in html


def test_markdown_tables_have_as_many_cells_in_every_row(files: ReportFiles) -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", files.markdown.read_text(), re.MULTILINE)
    assert len(tables) > 8
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
        assert re.fullmatch(r"\|(---\|)+", table.splitlines()[1])


def test_the_markdown_metric_table_shows_means_intervals_and_differences(
    make_model: Callable[..., ModelPredictions], tmp_path: Path
) -> None:
    answers = ["card_arrival"] * 10
    models = [
        make_model(role, answers[:right] + ["change_pin"] * (10 - right), answers)
        for role, right in (("original", 6), ("teacher", 9), ("base", 1), ("sft", 9))
    ]
    markdown = write_report(small(evaluate(models, ("accuracy",), "accuracy")), tmp_path).markdown.read_text()
    assert (
        "| **Accuracy** | 0.600<br>0.313–0.832<br>+0.500 to base "
        "| 0.900<br>0.596–0.982<br>+0.800 to base<br>+0.300 to original "
        "| 0.100<br>0.018–0.404 "
        "| 0.900<br>0.596–0.982<br>+0.800 to base<br>+0.300 to original |\n"
    ) in markdown
    assert "## DEPLOY\n\nThe student scores 0.900 in Accuracy, within 0.05 of the teacher's 0.900.\n" in markdown


def test_all_parts_that_were_given_are_shown(files: ReportFiles) -> None:
    for text in (files.markdown.read_text(), files.html.read_text()):
        for part in (
            "Paired comparisons",
            "Classes",
            "macro F1",
            "Disagreements",
            "Training",
            "synthetic",
            "What was kept and what was not",
            "similar to accepted",
            "Spend",
            "$1.27",
            "tuning.learning_rate",
            "How to read this",
        ):
            assert part in text


def test_parts_without_content_are_left_out(make_evaluation: Callable[..., Evaluation], tmp_path: Path) -> None:
    files = write_report(small(make_evaluation(rows=12)), tmp_path)
    assert files.pictures == ()
    assert not (tmp_path / "confusion.png").exists()
    for text in (files.markdown.read_text(), files.html.read_text()):
        for part in ("Classes", "Training", "Spend", "Settings that differ", "What was kept", "Note:", "are missing"):
            assert part not in text


def test_what_users_and_models_write_stays_text(make_model: Callable[..., ModelPredictions], tmp_path: Path) -> None:
    roles: tuple[ModelRole, ...] = ("original", "teacher", "base", "sft")
    models = [attacked(make_model(role, ["change_pin"] * 3, ["change_pin"] * 3)) for role in roles]
    evaluation = evaluate(models, ("accuracy",), "accuracy")
    report = ReportInput(
        title=ATTACK,
        task=ATTACK,
        created=ATTACK,
        evaluation=evaluation,
        classes=(ATTACK, "$other"),
        splits=(split_statistics(ATTACK, [], lambda _: (), [ATTACK]),),
        counts=(PhaseCounts(ATTACK, 1, {ATTACK: 2}),),
        spend=(PhaseSpend(ATTACK, 1, 1, 1, 1, 0.5),),
        settings=(Setting(ATTACK, ATTACK, [ATTACK]),),
        notices=(ATTACK,),
    )
    files = write_report(report, tmp_path)
    html, markdown = files.html.read_text(), files.markdown.read_text()
    assert "script" not in {tag for tag, _ in tags_of(html).seen}
    assert "<script" not in html
    assert "<script" not in markdown
    assert "\n# </textarea>" not in markdown
    assert "|**`" not in markdown


def test_missing_verdicts_are_shown_with_count_and_reason(
    make_model: Callable[..., ModelPredictions], tmp_path: Path
) -> None:
    answers = ["change_pin"] * 4
    teacher, base, student = (make_model(role, answers, answers) for role in ("teacher", "base", "sft"))
    row = student.rows[0]
    unread = row.model_copy(
        update={"scores": row.scores | {"llm_as_a_judge": None}, "verdict_reason": "timeout: no answer in 60 s"}
    )
    student = student.model_copy(update={"rows": (unread, *student.rows[1:])})
    files = write_report(
        small(evaluate([teacher, base, student], ("accuracy", "llm_as_a_judge"), "accuracy")), tmp_path
    )
    for text in (files.markdown.read_text(), files.html.read_text()):
        assert "1 of 4 verdicts of Tuned (SFT) are missing" in text
        assert "timeout: no answer in 60 s (1)" in text
    metrics = json.loads(files.metrics.read_text())
    assert metrics["models"]["sft"]["missing"] == {"llm_as_a_judge": 1}
    assert metrics["models"]["sft"]["metrics"]["llm_as_a_judge"]["count"] == 3


def test_a_student_that_agrees_everywhere_has_no_disagreements(
    make_model: Callable[..., ModelPredictions], tmp_path: Path
) -> None:
    answers = ["change_pin"] * 4
    models = [make_model(role, answers, answers) for role in ("teacher", "base", "sft")]
    files = write_report(small(evaluate(models, ("accuracy",), "accuracy")), tmp_path)
    for text in (files.markdown.read_text(), files.html.read_text()):
        assert "The tuned student agrees with reference and teacher on every row." in text


def test_metrics_json_holds_every_figure_unrounded(files: ReportFiles, full_report: ReportInput) -> None:
    metrics = json.loads(files.metrics.read_text())
    evaluation = full_report.evaluation
    assert metrics["tuned"] == "rlvr"
    assert metrics["student_verdict"]["verdict"] == evaluation.student_verdict.verdict
    for role, model in evaluation.models.items():
        figures = metrics["models"][role]["metrics"]["accuracy"]
        known = model.known_scores("accuracy")
        assert figures["mean"] == sum(known) / len(known)
        assert figures["interval"]["low"] == evaluation.estimates[role]["accuracy"].interval.low
        assert metrics["models"][role]["invalid"] == sum(not row.valid for row in model.rows)
    first = metrics["comparisons"][0]
    assert first["p_value"] == evaluation.comparisons[first["first"], first["second"]][first["metric"]].p_value
    assert len(metrics["classification"]["rlvr"]["confusion"]) == 6
    assert metrics["spend"][0]["cost_usd"] == 0.0123
    assert metrics["counts"][2]["reasons"] == {"similar to a seed": 95, "similar to accepted": 210, "not a class": 7}
    assert metrics["notices"] == list(full_report.notices)


def test_predictions_can_be_read_back_row_by_row(files: ReportFiles, full_report: ReportInput) -> None:
    lines = files.predictions["base"].read_text(encoding="utf-8").removesuffix("\n").split("\n")
    rows = full_report.evaluation.models["base"].rows
    assert [json.loads(line)["prediction"] for line in lines] == [row.prediction for row in rows]


def test_writing_twice_gives_the_same_files(full_report: ReportInput, tmp_path: Path) -> None:
    first, second = write_report(full_report, tmp_path / "a"), write_report(full_report, tmp_path / "b")
    for one, other in ((first.html, second.html), (first.markdown, second.markdown), (first.metrics, second.metrics)):
        assert one.read_bytes() == other.read_bytes()


def test_lone_surrogates_do_not_stop_the_report(make_evaluation: Callable[..., Evaluation], tmp_path: Path) -> None:
    report = replace(small(make_evaluation(rows=6)), notices=("broken \ud83d emoji",))
    assert "broken ? emoji" in write_report(report, tmp_path).html.read_text()


@pytest.mark.parametrize("synonyms", [True, False])
def test_the_report_says_where_meteor_had_no_synonyms(
    synonyms: bool, make_model: Callable[..., ModelPredictions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "meteor_uses_synonyms", lambda: synonyms)
    models = [make_model(role, ["change_pin"], ["change_pin"]) for role in ("teacher", "base", "sft")]
    scored = [
        model.model_copy(
            update={"rows": tuple(row.model_copy(update={"scores": {"meteor": 0.5}}) for row in model.rows)}
        )
        for model in models
    ]
    files = write_report(small(evaluate(scored, ("meteor",), "meteor")), tmp_path)
    assert ("METEOR was computed without synonyms" in files.markdown.read_text()) is not synonyms


def test_the_report_says_why_the_primary_metric_decides(
    make_evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    report = replace(small(make_evaluation(rows=6)), primary_reason="right and wrong need no judge")
    files = write_report(report, tmp_path)
    assert "Accuracy decides the verdict, because right and wrong need no judge." in files.markdown.read_text()
    assert "Accuracy decides, because right and wrong need no judge." in files.html.read_text()
    assert json.loads(files.metrics.read_text())["primary_metric_reason"] == "right and wrong need no judge"


@pytest.mark.parametrize(("conversations", "shown"), [(None, False), (6, False), (4, True)])
def test_the_number_of_conversations_is_shown_where_it_is_not_that_of_the_rows(
    conversations: int | None, shown: bool, make_evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    files = write_report(replace(small(make_evaluation(rows=6)), conversations=conversations), tmp_path)
    for text in (files.markdown.read_text(), files.html.read_text()):
        assert ("made of 4 conversations" in text) is shown
    metrics = json.loads(files.metrics.read_text())
    assert (metrics["rows"], metrics["conversations"]) == (6, conversations)


def test_a_job_with_tools_has_a_table_of_tools_and_no_confusion_matrix(
    make_evaluation: Callable[..., Evaluation],
    boat_task: Task,
    boat_hire: Callable[[int], Example],
    tmp_path: Path,
) -> None:
    splits = (split_statistics("test", [boat_hire(2)], boat_task.labels_in, boat_task.labels),)
    files = write_report(replace(small(make_evaluation(rows=6)), label_name="tool", splits=splits), tmp_path)
    assert files.pictures == ()
    assert "| Tool | test |\n|---|---|\n| find_boat | 1 |\n| hire_boat | 1 |\n" in files.markdown.read_text()
    assert "Rows with each tool" in files.html.read_text()
