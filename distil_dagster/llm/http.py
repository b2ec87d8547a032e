"""Chat completions over plain HTTP, for every provider that speaks OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distil_dagster.llm.answers import GarbledAnswer, read_completion
from distil_dagster.llm.outcomes import Outcome, Trouble, from_status, retry_after_of

if TYPE_CHECKING:
    from aiohttp import ClientSession


class ChatCompletions:
    """One session of kept-open connections; to be used from one event loop."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: Mapping[str, Any], seconds: float) -> Outcome:
        """Send one request and read what comes back within `seconds`."""
        import aiohttp

        data = json.dumps(body).encode("ascii")
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._open_session().post(url, data=data, headers=headers, timeout=timeout) as response:
                text = await response.text(encoding="utf-8", errors="replace")
        except TimeoutError:
            return Trouble("timeout", f"no answer within {seconds:.3g} s")
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            return Trouble("unreachable", str(error))
        except aiohttp.ClientError as error:
            return Trouble("server", f"connection lost ({type(error).__name__}: {error})")
        if response.status >= 400:
            return from_status(response.status, text, retry_after_of(response.headers))
        return _read(text)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> ClientSession:
        import aiohttp

        if self._session is None:
            # The pacer counts requests in flight; a limit here would only hide them in a second queue.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                headers={"Content-Type": "application/json"},
                trust_env=True,
            )
        return self._session


def _read(text: str) -> Outcome:
    try:
        return read_completion(json.loads(text))
    except (GarbledAnswer, ValueError, RecursionError) as error:
        return Trouble("server", f"the response cannot be read: {error}")
