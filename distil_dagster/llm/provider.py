"""The one module that imports litellm: which endpoint a route means, what its model takes, what it charges.

Providers that speak OpenAI's protocol as it stands get their requests over our own HTTP session, at a twentieth of the
processor time; all others through litellm's own call.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distil_dagster.errors import ProviderError
from distil_dagster.llm.answers import GarbledAnswer, RawAnswer, read_completion
from distil_dagster.llm.http import ChatCompletions
from distil_dagster.llm.outcomes import Denied, Outcome, Rejection, Trouble, from_status, retry_after_of
from distil_dagster.llm.requests import Route, Usage, canonical_json, is_connection_setting
from distil_dagster.llm.wire import chat_messages, described_schema, refuses_schema
from distil_dagster.secrets import secrets_in, with_secrets

log = logging.getLogger("distil_dagster")

# Those whose requests and responses litellm changes (tools for schemas, fields of their own) are not among them.
_PLAIN_OPENAI = frozenset(
    {"custom_openai", "dashscope", "deepinfra", "hosted_vllm", "llamafile", "lm_studio", "moonshot", "nebius", "novita"}
    | {"nvidia_nim", "openai", "openrouter", "sambanova", "together_ai", "zai"}
)
_DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "openrouter": "https://openrouter.ai/api/v1"}
_UNKNOWN_MOST_TOKENS = 32_000


@dataclass(frozen=True)
class Price:
    """US dollars a token."""

    prompt: float
    completion: float
    cached: float

    def of(self, usage: Usage) -> float:
        """The price of one answer."""
        fresh = usage.prompt_tokens - usage.cached_tokens
        return fresh * self.prompt + usage.cached_tokens * self.cached + usage.completion_tokens * self.completion


@dataclass(frozen=True)
class Endpoint:
    """A route made concrete; `url` is None where litellm itself has to make the call."""

    model: str
    provider: str
    url: str | None
    base_url: str | None
    api_key: str | None
    headers: Mapping[str, str]
    price: Price | None
    most_tokens: int


class Provider:
    """Sends request bodies to the endpoints that routes name; to be used from one event loop."""

    def __init__(self) -> None:
        self._http = ChatCompletions()
        self._endpoints: dict[str, Endpoint] = {}
        self._parameters: dict[str, dict[str, Any]] = {}
        self._without_schema: set[str] = set()

    async def send(self, body: Mapping[str, Any], route: Route, seconds: float) -> Outcome:
        """Send one body once.

        Raises:
            ProviderError: the route cannot be used as it is configured.
        """
        endpoint = self.endpoint(body["model"], route)
        outcome = await self._send_as_taken(body, route, endpoint, seconds)
        if not isinstance(outcome, RawAnswer):
            return _without_secrets(outcome, [*filter(None, [endpoint.api_key]), *secrets_in(route.extra)])
        return replace(outcome, cost_usd=endpoint.price.of(outcome.usage)) if endpoint.price else outcome

    def worst_case_usd(self, body: Mapping[str, Any], prompt_tokens: int, route: Route) -> float:
        """The most that an answer to a prompt of at most `prompt_tokens` can cost; 0 where the price is not known."""
        endpoint = self.endpoint(body["model"], route)
        if endpoint.price is None:
            return 0.0
        most = body.get("max_tokens") or body.get("max_completion_tokens") or endpoint.most_tokens
        return endpoint.price.of(Usage(prompt_tokens=prompt_tokens, completion_tokens=int(most)))

    def endpoint(self, model: str, route: Route) -> Endpoint:
        """The endpoint of a route.

        Raises:
            ProviderError: litellm does not know the provider, or the API key's environment variable is not set.
        """
        name = canonical_json([model, route.base_url, route.api_key_env, dict(route.extra)])
        if name not in self._endpoints:
            self._endpoints[name] = _resolve(model, route)
        return self._endpoints[name]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _send_as_taken(
        self, body: Mapping[str, Any], route: Route, endpoint: Endpoint, seconds: float
    ) -> Outcome:
        """Send with the JSON schema where it is taken; where it proves not to be, describe it in words from then on."""
        place = f"{endpoint.base_url} {body['model']}"
        if "response_format" not in body or place in self._without_schema:
            return await self._send_once(described_schema(body), route, endpoint, seconds)
        outcome = await self._send_once(body, route, endpoint, seconds)
        if isinstance(outcome, Rejection) and refuses_schema(outcome.detail):
            log.warning("%s takes no JSON schema: it is described in the prompt instead", body["model"])
            self._without_schema.add(place)
            return await self._send_once(described_schema(body), route, endpoint, seconds)
        return outcome

    async def _send_once(self, body: Mapping[str, Any], route: Route, endpoint: Endpoint, seconds: float) -> Outcome:
        messages = chat_messages(body["messages"])
        parameters = {name: value for name, value in body.items() if name not in ("model", "messages", "sample")}
        if endpoint.url is None:
            connection = {
                name: with_secrets(value) for name, value in route.extra.items() if is_connection_setting(name)
            }
            return await _send_with_litellm(endpoint, messages, parameters | connection, _wanted(route), seconds)
        wire = {"model": endpoint.model, "messages": messages, **self._as_taken(endpoint, parameters, route)}
        return await self._http.post(endpoint.url, endpoint.headers, wire, seconds)

    def _as_taken(self, endpoint: Endpoint, parameters: Mapping[str, Any], route: Route) -> dict[str, Any]:
        """The parameters as the model takes them: renamed where it calls them otherwise, dropped where it has none.

        What the route itself asks for is never dropped: whoever wrote it knows the model better than a list does.
        """
        wanted = _wanted(route)
        name = canonical_json([endpoint.provider, endpoint.model, parameters, wanted])
        if name not in self._parameters:
            self._parameters[name] = _map_parameters(endpoint, parameters, wanted)
        return self._parameters[name]


def _litellm() -> Any:
    # Without this the import downloads a price list.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True  # it prints advice to standard output at every error
    return litellm


def _resolve(model: str, route: Route) -> Endpoint:
    litellm = _litellm()
    api_key = _api_key(model, route)
    try:
        name, provider, found_key, found_url = litellm.get_llm_provider(
            model=model, api_base=route.base_url, api_key=api_key
        )
    except litellm.BadRequestError:
        raise ProviderError(
            f"{model}: no provider is known by that name; a route's model is a litellm string such as "
            "openai/gpt-4.1-mini, openrouter/openai/gpt-oss-120b or hosted_vllm/my-model"
        ) from None
    url = route.base_url or found_url or _DEFAULT_URLS.get(provider)
    if route.base_url is None and api_key is None:
        # A key from the provider's usual variable goes to the provider's own address only.
        api_key = found_key or os.environ.get(f"{provider.upper()}_API_KEY")
    plain = provider in _PLAIN_OPENAI and url is not None
    return Endpoint(
        model=name,
        provider=provider,
        url=f"{url.rstrip('/')}/chat/completions" if plain and url else None,
        base_url=route.base_url,
        api_key=api_key,
        headers=_headers(api_key, route),
        price=_price(name, provider, model, route),
        most_tokens=_model_info(name, provider, model).get("max_output_tokens") or _UNKNOWN_MOST_TOKENS,
    )


def _api_key(model: str, route: Route) -> str | None:
    if route.api_key_env is None:
        return None
    value = os.environ.get(route.api_key_env)
    if not value:
        raise ProviderError(f"{model}: the environment variable {route.api_key_env} that holds its API key is not set")
    return value


def _headers(api_key: str | None, route: Route) -> dict[str, str]:
    authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return authorization | with_secrets(route.extra.get("extra_headers") or {})


def _model_info(name: str, provider: str, model: str) -> Mapping[str, Any]:
    litellm = _litellm()
    for candidate, its_provider in ((name, provider), (model, None)):
        try:
            return dict(litellm.get_model_info(candidate, its_provider))
        except Exception:  # noqa: S112 - litellm raises a bare Exception for a model it does not know
            continue
    return {}


def _price(name: str, provider: str, model: str, route: Route) -> Price | None:
    info = _model_info(name, provider, model)
    prompt = route.extra.get("input_cost_per_token", info.get("input_cost_per_token"))
    completion = route.extra.get("output_cost_per_token", info.get("output_cost_per_token"))
    if prompt is None or completion is None:
        log.warning(
            "the price of %s is not known: its requests count as free. data.models can say it: "
            "extra: {input_cost_per_token: ..., output_cost_per_token: ...}",
            model,
        )
        return None
    cached = info.get("cache_read_input_token_cost")
    return Price(float(prompt), float(completion), float(prompt if cached is None else cached))


def _wanted(route: Route) -> list[str]:
    """The request parameters that a route asks for by itself."""
    return sorted(name for name in route.extra if not is_connection_setting(name))


def _map_parameters(endpoint: Endpoint, parameters: Mapping[str, Any], wanted: list[str]) -> dict[str, Any]:
    get_optional_params = _litellm().utils.get_optional_params
    known = inspect.signature(get_optional_params).parameters.keys()
    mapped = get_optional_params(
        model=endpoint.model,
        custom_llm_provider=endpoint.provider,
        drop_params=True,
        allowed_openai_params=wanted,
        **{name: value for name, value in parameters.items() if name in known},
    )
    mapped |= mapped.pop("extra_body", None) or {}
    mapped.pop("stream", None)
    return mapped | {name: value for name, value in parameters.items() if name not in known}


async def _send_with_litellm(
    endpoint: Endpoint,
    messages: list[dict[str, Any]],
    parameters: Mapping[str, Any],
    wanted: list[str],
    seconds: float,
) -> Outcome:
    litellm = _litellm()
    try:
        response = await litellm.acompletion(
            model=endpoint.model,
            custom_llm_provider=endpoint.provider,
            messages=messages,
            base_url=endpoint.base_url,
            api_key=endpoint.api_key,
            timeout=seconds,
            num_retries=0,
            max_retries=0,
            drop_params=True,
            allowed_openai_params=wanted,
            **{name: value for name, value in parameters.items() if name not in ("timeout", "num_retries")},
        )
        return read_completion(response.model_dump())
    except GarbledAnswer as error:
        return Trouble("server", f"the response cannot be read: {error}")
    except Exception as error:  # litellm lets through errors of every provider's library
        return _outcome_of(error, seconds)


def _outcome_of(error: Exception, seconds: float) -> Outcome:
    """A foreign error as one of our outcomes."""
    litellm = _litellm()
    text = str(error)
    if isinstance(error, litellm.Timeout | TimeoutError):
        return Trouble("timeout", f"no answer within {seconds:.3g} s")
    if isinstance(error, litellm.ContentPolicyViolationError):
        return Rejection("refused_by_provider", text)
    if isinstance(error, litellm.APIConnectionError):
        return Trouble("unreachable", text)
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        # Only some of its errors keep the provider's response, but all of them its headers.
        headers = getattr(error, "litellm_response_headers", None) or {}
        return from_status(status, text, retry_after_of({name.lower(): value for name, value in headers.items()}))
    return Trouble("server", f"{type(error).__name__}: {text}")


def _without_secrets(outcome: Outcome, secrets: Iterable[str]) -> Outcome:
    """The outcome with keys, which some providers repeat in their errors, taken out of its text."""
    if isinstance(outcome, RawAnswer):
        return outcome
    for secret in secrets:
        outcome = replace(outcome, detail=outcome.detail.replace(secret, "***"))
    return outcome


def explain_denial(name: str, model: str, route: Route, denied: Denied) -> ProviderError:
    """What a user can do about a route that is denied as a whole."""
    place = f"{name} (route {model}{f' at {route.base_url}' if route.base_url else ''})"
    variable = route.api_key_env or f"{model.split('/', 1)[0].upper()}_API_KEY"
    advice = {
        401: f"check the API key in the environment variable {variable}",
        402: "the provider wants to be paid first",
        403: f"check what the API key in the environment variable {variable} may use",
        404: "check the model's name and the base URL in data.models",
        429: "the account's quota is used up",
    }[denied.status]
    return ProviderError(f"{place}: {denied.detail}: {advice}. Everything bought so far is kept")
