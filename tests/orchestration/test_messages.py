import json
import threading

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.orchestration.messages import WholeLines, whole_lines


class Handler:
    """Keeps the messages that it is given."""

    def __init__(self) -> None:
        self.messages: list[dict] = []

    def handle_message(self, message) -> None:
        self.messages.append(message)


def test_a_line_that_is_written_in_pieces_is_one_message(tmp_path):
    handler, expected = Handler(), [{"method": "log", "params": {"number": number}} for number in range(50)]
    reader = WholeLines(tmp_path / "messages")
    with reader.read_messages(handler) as params:
        assert params == {"path": str(tmp_path / "messages"), "include_stdio_in_messages": False}
        for message in expected:
            line = json.dumps(message) + "\n"
            for piece in (line[:7], line[7:30], line[30:]):
                with (tmp_path / "messages").open("a") as file:
                    file.write(piece)
                if message["params"]["number"] < 3:
                    # Long enough for the reader to look at the half line.
                    threading.Event().wait(0.12)
    assert handler.messages == expected
    assert not (tmp_path / "messages").exists()


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.binary(max_size=5))
def test_all_lines_are_read_and_half_a_line_at_the_end_is_not(tmp_path_factory, lines, half):
    path = tmp_path_factory.mktemp("lines") / "messages"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + half.replace(b"\n", b""))
    assert list(whole_lines(path, lambda: True)) == [line + b"\n" for line in lines]
