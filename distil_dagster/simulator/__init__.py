"""An OpenAI-compatible server that plays teacher, committee and judge for a folder with known answers.

It sees only the HTTP request, as a provider would, and says in every response that it is simulated.
"""

from distil_dagster.simulator.faults import Faults
from distil_dagster.simulator.options import Options, add_arguments, options_from
from distil_dagster.simulator.server import SimulatedTeacher, serve

__all__ = ["Faults", "Options", "SimulatedTeacher", "add_arguments", "options_from", "serve"]
