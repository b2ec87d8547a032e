from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import GenerationRequest, Shown
from distil_dagster.tasks.generation import as_shown, render_generation


def example(question: str, answer: str, context: str | None = None) -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=messages, context=context)


def render_classification(job, request, shown=None) -> str:
    return render_generation("classification", job, request, shown or Shown())


def test_the_classification_prompt_reads_as_a_person_would_write_it(job):
    shown = Shown(
        positives=[example("Why was I charged twice?", "bills")],
        negatives=[example("My roses droop.", "garden")],
        unlabelled=["Nobody rang the bell.", "What is this fee?"],
        guidelines=[("complexity", "simple"), ("topic", "refunds")],
    )
    assert (
        render_classification(job, GenerationRequest(4, "bills"), shown)
        == """\
You write training examples for a small model that will do the job below.

<job>
Send each letter to the right desk.

Classes:
- bills: About invoices.
- parcels: About deliveries.
- garden: About plants.
</job>

Every new example belongs to this class:

<class>bills</class>

Examples of this class, for their form and tone:

<example>
{"question": "Why was I charged twice?", "answer": "bills"}
</example>

Examples of other classes, to show where the border runs:

<counter_example>
{"question": "My roses droop.", "answer": "garden"}
</counter_example>

Real inputs without an answer, for their wording:

<unlabelled>
Nobody rang the bell.
</unlabelled>

<unlabelled>
What is this fee?
</unlabelled>

Write this many new examples, each different from those above and from each other in content and in wording:

<count>4</count>

<guidelines>
- complexity: simple
- topic: refunds
- The input reads like one that a real user would send.
- The answer is right, and in exactly the form of the examples.
</guidelines>"""
    )


def test_what_is_not_shown_leaves_no_heading_behind(job):
    prompt = render_classification(job, GenerationRequest(2))
    assert "\n\n\n" not in prompt
    for heading in ("Examples", "Real inputs", "<class>", "<example>", "<counter_example>", "<unlabelled>"):
        assert heading not in prompt


def test_instructions_for_generation_have_a_block_of_their_own(job):
    instructed = job.model_copy(update={"synthetic_data_generation_instructions": "Write as a hurried customer."})
    prompt = render_classification(instructed, GenerationRequest(2))
    assert "</job>\n\n<instructions>\nWrite as a hurried customer.\n</instructions>\n\nWrite this many" in prompt


def test_an_exchange_is_shown_as_question_and_answer():
    assert as_shown(example("q", "a")) == {"question": "q", "answer": "a"}
    assert as_shown(example("q", "a", context="c")) == {"context": "c", "question": "q", "answer": "a"}


def test_a_longer_conversation_is_shown_as_messages():
    messages = (Message(role="system", content="s"), *example("q", "a").messages)
    assert as_shown(Example(messages=messages)) == {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a"},
        ]
    }


def test_text_in_other_scripts_is_shown_as_it_is():
    job = JobDescription(task_description="Überträge", classes_description={"α": "Erste", "β": "Zweite"})
    prompt = render_classification(job, GenerationRequest(1), Shown(positives=[example("Wohin geht’s?", "α")]))
    assert '{"question": "Wohin geht’s?", "answer": "α"}' in prompt
