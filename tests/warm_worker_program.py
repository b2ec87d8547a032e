"""The two programs of warm workers: the server, and what is started in the place of a training program.

python warm_worker_program.py serve SOCKET
python -I -S warm_worker_program.py ask SOCKET JOB.json

The second has the server fork a training program with its own streams, environment and folder, and ends as that ends.
"""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress

_STREAMS = (0, 1, 2)
_MOST = 1 << 20


def ask(place: str, job_path: str) -> int:
    """Have a program started, and give the code that it ends with."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        folder = os.getcwd()  # noqa: PTH109 - pathlib takes longer to import than all else here
        asked = {"job": job_path, "environment": dict(os.environ), "folder": folder}
        socket.send_fds(connection, [json.dumps(asked).encode()], _STREAMS)
        connection.shutdown(socket.SHUT_WR)
        # The program has them; kept here too, they would seem open after its end.
        for stream in _STREAMS[:2]:
            os.close(stream)
        return int(connection.recv(16) or b"1")


def serve(place: str) -> None:
    """Import what training programs import, then fork one for each that asks."""
    from distil_dagster.training import worker

    worker._stay_offline_and_quiet()
    import datasets  # noqa: F401
    import torch  # noqa: F401
    from peft import LoraConfig, PeftModel  # noqa: F401
    from transformers import AutoModelForCausalLM, LlamaForCausalLM  # noqa: F401
    from trl import GRPOTrainer, SFTTrainer  # noqa: F401

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            message, streams, _, _ = socket.recv_fds(connection, _MOST, len(_STREAMS))
            while part := connection.recv(_MOST):
                message += part
            pid = os.fork()
            if pid == 0:
                listener.close()
                connection.close()
                os._exit(_work(json.loads(message), streams))
            for stream in streams:
                os.close(stream)
            threading.Thread(target=_tell_the_end, args=(pid, connection), daemon=True).start()


def _work(asked: dict, streams: list[int]) -> int:
    from distil_dagster.training import worker

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in zip(_STREAMS, streams, strict=True):
        os.dup2(stream, number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    try:
        return worker.main([asked["job"]])
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _tell_the_end(pid: int, connection: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with connection, suppress(BrokenPipeError):
        connection.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", place]:
            serve(place)
        case ["ask", place, job_path]:
            sys.exit(ask(place, job_path))
