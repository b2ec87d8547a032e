"""The program of one step on this machine: Dagster's own, which ends when the run worker that started it is gone.

python -m distil_dagster.orchestration.tied_step, with DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS in its environment

The run worker holds the other end of the standard input for as long as it lives. A run worker that was killed can end
nothing any more, and a step that goes on would keep the GPU. The tie is a pipe because that passes through commands
such as srun; a signal at the parent's death does not.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

# A run worker that ends as it should leaves a step behind that has reported its end and is just leaving, too.
_SECONDS_TO_LEAVE = 5.0
_SECONDS_TO_END = 10.0


def main() -> None:
    """Execute the step that the environment describes."""
    threading.Thread(target=_end_with_run_worker, name="end with run worker", daemon=True).start()
    from dagster._cli.api import execute_step_command

    execute_step_command(args=[])


def _end_with_run_worker() -> None:
    # The run worker has written one byte: where not even that arrives, the input is somebody else's.
    if not os.read(sys.stdin.fileno(), 1):
        print("standard input is not the run worker's: this step would outlive it", file=sys.stderr, flush=True)
        return
    while os.read(sys.stdin.fileno(), 1):
        pass
    time.sleep(_SECONDS_TO_LEAVE)
    print("the run worker is gone: this step ends", file=sys.stderr, flush=True)
    # The whole group, which the run worker made for this step alone, or the command that stands before it.
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(_SECONDS_TO_END)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
