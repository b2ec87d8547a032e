"""The processes of this machine, as Linux lists them."""

from pathlib import Path


def processes_with(*arguments: object) -> list[int]:
    """Those whose command has all of the arguments."""
    wanted = {str(argument).encode() for argument in arguments}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted <= set(command):
            found.append(int(folder.name))
    return found
