"""Print what the package depends on, one requirement a line: `python requirements.py pyproject.toml cluster qlora`.

An image that installs these before it copies the source keeps its gigabytes of libraries when only the source changes.
"""

import sys
import tomllib
from pathlib import Path


def main(pyproject: str, *extras: str) -> None:
    """Print the dependencies of the project and of the extras that are named."""
    project = tomllib.loads(Path(pyproject).read_text(encoding="utf-8"))["project"]
    optional = [requirement for extra in extras for requirement in project["optional-dependencies"][extra]]
    print("\n".join([*project["dependencies"], *optional]))


if __name__ == "__main__":
    main(*sys.argv[1:])
