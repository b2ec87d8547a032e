import json
import os
import subprocess
import sys

HEAVY = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "litellm",
    "pyarrow",
    "aiohttp",
    "matplotlib",
    "nltk",
    "jinja2",
}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_loading_the_definitions_imports_no_heavy_library():
    loaded = modules_after("import distil_dagster.definitions")
    assert "distil_dagster.assets.training" in loaded
    # jinja2 comes with Dagster itself.
    assert not loaded & (HEAVY - {"jinja2"})


def test_the_core_imports_no_heavy_library_before_it_is_used():
    modules = (
        "llm.client",
        "traces.relabel",
        "synthesis.loop",
        "evaluation.building",
        "training.worker",
        "simulator.server",
    )
    loaded = modules_after("import " + ", ".join(f"distil_dagster.{module}" for module in modules))
    assert not loaded & (HEAVY - {"jinja2"})
