"""The request layer: every paid answer is asked for, paced, stored and checked here.

`client.py` is the way in. A request becomes a body and a key (`requests.py`); what the `journal` does not hold is
claimed there and bought (`buying.py`) at the pace and within the budget that `pacing.py` and `budget.py` allow, over
`provider.py`; what comes back is stored first and read afterwards (`reading.py`, `structured.py`).
"""

from distil_dagster.llm.client import Client, open_client
from distil_dagster.llm.requests import Answered, Failed, FailureReason, Request, Route, Usage

__all__ = ["Answered", "Client", "Failed", "FailureReason", "Request", "Route", "Usage", "open_client"]
