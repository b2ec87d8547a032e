import pytest
from synthesis.teachers import Author, Reader, block, example, passage, row, text_of

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.job import JobDescription
from distil_dagster.errors import DataError
from distil_dagster.synthesis.loop import generate
from distil_dagster.tasks.closed_book import ClosedBookQuestionAnswering
from distil_dagster.tasks.open_book import OpenBookQuestionAnswering
from distil_dagster.traces.seeds import SeedData

JOB = JobDescription(task_description="Answer questions about lighthouses.")
CLOSED, OPEN = ClosedBookQuestionAnswering(JOB), OpenBookQuestionAnswering(JOB)
# Numbers of two digits, so that no passage holds another.
ROWS = [row(passage(number), number) for number in range(10, 20)]


@pytest.fixture
def seeds():
    train = [
        example(f"How high is lighthouse {n}?", str(n), f"train.jsonl:{n}", context=passage(n)) for n in range(30, 36)
    ]
    test = [example("What of the tested one?", "40", "test.jsonl:1", context=passage(40))]
    return SeedData(train, test, list(ROWS), [], [])


@pytest.fixture
def run(scripted, seeds):
    def generated(question_answering, script, seed=1, **settings):
        client = scripted(script)
        values = {"generation_target": 40, "generation_iteration_size": 16} | settings
        dataset = generate(
            seeds, question_answering, Synthgen(**values), client, teacher="openai.gpt-oss-120b", seed=seed
        )
        return dataset, client

    return generated


def by_context(dataset):
    counts = dict.fromkeys((each.source for each in ROWS), 0)
    for accepted in dataset.accepted:
        counts[accepted.context_source] += 1
    return counts


@pytest.mark.parametrize("question_answering", [CLOSED, OPEN])
def test_the_target_is_spread_over_the_contexts(run, question_answering):
    dataset, client = run(question_answering, Reader())
    assert set(by_context(dataset).values()) == {4}
    assert dataset.target == 40
    assert dataset.labels() == {}
    assert {block(request, "context") for request in client.asked} == {each.text for each in ROWS}


@pytest.mark.parametrize("others", [0, 2])
def test_each_call_shows_its_context_and_seeds_as_examples_and_others_as_unlabelled(run, others):
    _, client = run(OPEN, Reader(), num_unlabelled_exemplars_per_generation=others)
    for request in client.asked:
        assert sum(each.text in text_of(request) for each in ROWS) == 1 + others
        assert text_of(request).count(block(request, "context")) == 1
        assert text_of(request).count("<example>") == 2
        assert text_of(request).count("<unlabelled>") == others
        assert passage(40) not in text_of(request)


def test_the_student_is_shown_the_context_where_the_book_is_open(run):
    dataset, _ = run(OPEN, Reader())
    texts = {each.source: each.text for each in ROWS}
    assert all(accepted.context == texts[accepted.context_source] for accepted in dataset.accepted)
    assert dataset.accepted[0].as_example().context == dataset.accepted[0].context


def test_the_student_is_shown_no_context_where_the_book_is_closed(run):
    dataset, _ = run(CLOSED, Reader())
    assert {accepted.context for accepted in dataset.accepted} == {None}


def test_a_number_for_each_context_makes_the_target_where_the_book_is_closed(run):
    dataset, client = run(CLOSED, Reader(), generation_per_unstructured_context=3, generation_in_single_call=2)
    assert dataset.target == 30
    assert set(by_context(dataset).values()) == {3}
    assert {int(block(request, "count")) for request in client.asked} == {1, 2}


def test_a_number_for_each_context_says_nothing_where_the_book_is_open(run):
    dataset, _ = run(OPEN, Reader(), generation_per_unstructured_context=3)
    assert len(dataset.accepted) == 40


def test_a_small_target_uses_contexts_from_all_over(run):
    used = {
        accepted.context_source
        for seed in range(4)
        for accepted in run(CLOSED, Reader(), seed, generation_target=3)[0].accepted
    }
    assert len(used) > 5


@pytest.mark.parametrize("question_answering", [CLOSED, OPEN])
def test_contexts_that_bring_nothing_leave_their_share_to_the_others(run, question_answering):
    dull = [each.text for each in ROWS[:8]]
    dataset, client = run(question_answering, Reader(dull))
    counts = list(by_context(dataset).values())
    assert counts[:8] == [0] * 8
    assert counts[8] + counts[9] == 40
    assert abs(counts[8] - counts[9]) <= 16
    assert dataset.stopped == ""
    assert all(3 <= sum(block(request, "context") == text for request in client.asked) <= 4 for text in dull)


def test_where_each_context_has_its_number_none_makes_up_for_another(run):
    dataset, _ = run(CLOSED, Reader([ROWS[0].text, ROWS[5].text]), generation_per_unstructured_context=2)
    assert sorted(by_context(dataset).values()) == [0, 0] + [2] * 8
    assert dataset.stopped.startswith("4 of 20 examples are missing: 3 iterations in a row brought nothing new for")
    assert "unstructured.jsonl:10 (2 missing)" in dataset.stopped
    assert "unstructured.jsonl:15 (2 missing)" in dataset.stopped


def test_where_no_context_brings_anything_the_reason_names_a_few(run):
    dataset, _ = run(CLOSED, Reader([each.text for each in ROWS]), generation_in_single_call=8)
    assert dataset.accepted == []
    assert dataset.stopped.startswith("40 of 40 examples are missing: ")
    assert dataset.stopped.count("unstructured.jsonl") <= 3


def test_contexts_are_those_of_the_training_seeds_where_nothing_else_is_given(run, seeds):
    seeds.unstructured.clear()
    dataset, client = run(OPEN, Reader())
    assert {block(request, "context") for request in client.asked} == {passage(n) for n in range(30, 36)}
    assert {accepted.context_source for accepted in dataset.accepted} == {f"train.jsonl:{n}" for n in range(30, 36)}


def test_nothing_is_asked_where_there_is_no_context(run, seeds):
    seeds.unstructured.clear()
    with pytest.raises(DataError, match=r"unstructured\.jsonl"):
        run(CLOSED, Reader())


def test_distractors_stand_beside_the_context_that_answers(run):
    settings = {"num_distractor_context_blocks": 3, "num_unlabelled_exemplars_per_generation": 0}
    dataset, client = run(OPEN, Reader(), **settings)
    texts = {each.source: each.text for each in ROWS}
    places = set()
    for accepted in dataset.accepted:
        golden, blocks = texts[accepted.context_source], accepted.context.split("\n\n")
        assert len(blocks) == 4
        assert accepted.context.count(golden) == 1
        assert [each for each in blocks if each != golden] == [texts[source] for source in accepted.distractors]
        places.add(blocks.index(golden))
    assert places == {0, 1, 2, 3}
    assert all(sum(each.text in text_of(request) for each in ROWS) == 1 for request in client.asked)


def test_examples_from_one_answer_have_distractors_of_their_own(run):
    dataset, _ = run(OPEN, Reader(), num_distractor_context_blocks=3)
    of_one_context = {each.distractors for each in dataset.accepted if each.context_source == ROWS[0].source}
    assert len(of_one_context) > 1


def test_distractors_are_for_open_books_only(run):
    dataset, _ = run(CLOSED, Reader(), num_distractor_context_blocks=3)
    assert {accepted.distractors for accepted in dataset.accepted} == {()}


def test_the_total_length_is_that_of_the_example_with_its_distractors(run):
    dataset, _ = run(OPEN, Reader(), num_distractor_context_blocks=9, validation_max_total_length=300)
    assert dataset.accepted == []
    assert set(dataset.rejections()) == {"too_long"}
    assert dataset.rejected[0].context_source in {each.source for each in ROWS}
    assert run(OPEN, Reader(), validation_max_total_length=300)[0].stopped == ""


def test_equal_seeds_and_answers_give_equal_datasets(run):
    one, same, other = (run(OPEN, Reader(), seed, num_distractor_context_blocks=2)[0] for seed in (1, 1, 2))
    assert one == same
    assert one.accepted != other.accepted


def test_images_of_a_passage_go_with_its_calls_unless_the_student_reads_its_text_alone(run, seeds):
    images = {passage(number): f"http://a/{number}.png" for number in (10, 11)}
    seeds.unstructured[:] = [row(text, at, images=(url,)) for at, (text, url) in enumerate(images.items())]
    _, closed = run(CLOSED, Reader())
    for request in closed.asked:
        (image,) = request.messages[0]["content"][1:]
        assert image["image_url"]["url"] == images[block(request, "context")]
    _, opened = run(OPEN, Reader())
    assert all(isinstance(request.messages[0]["content"], str) for request in opened.asked)


def test_question_answering_without_contexts_has_one_quota(scripted, seeds):
    from distil_dagster.tasks.question_answering import QuestionAnswering

    job = JobDescription(task_description="Answer.", input_description="A letter with a question.")
    client = scripted(Author())
    dataset = generate(
        seeds, QuestionAnswering(job), Synthgen(generation_target=9), client, teacher="openai.gpt-oss-120b", seed=1
    )
    assert len(dataset.accepted) == 9
    assert all(text_of(request).count("<unlabelled>") == 2 for request in client.asked)
