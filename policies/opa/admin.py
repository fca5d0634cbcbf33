"""What the gateway does to an OPA beside asking it: put a policy there, see whether it is still there.

By opa-python-client, with what it lacks put in (a private CA, a UNIX socket, no second try that stalls for a second,
no silent rewriting of what was reviewed: facts A2). An OPA takes one module at a time, so a push is not atomic there:
whoever asks this OPA for decisions must wait until it is over (`RemoteEngine` does).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import aiohttp
from opa_client import errors
from opa_client.opa_async import AsyncOpaClient

from policies.bundle import DATA_ROOT, Bundle
from policies.embedded.weld import weld
from policies.engine import PolicyEngineDown
from policies.json import as_object
from policies.opa.api import Place

_PREFIX: Final = "llm-gateway/"
_MARKER: Final = "gateway/llm_gateway/pushed"
_TIMEOUT: Final = 5.0
_REFUSED: Final = (
    errors.RegoParseError,
    errors.DeletePolicyError,
    errors.PolicyNotFoundError,
    errors.ConnectionsError,
    aiohttp.ClientError,
    OSError,  # a TimeoutError is one
    ValueError,
)


class _Client(AsyncOpaClient):  # type: ignore[misc] # the package has no types
    """The client on our own connector."""

    def __init__(self, place: Place) -> None:
        super().__init__(headers=place.headers(), retries=0, timeout=_TIMEOUT)
        self.root_url = f"{place.base}/v1"
        self._place = place

    async def _init_session(self) -> None:
        self._session = aiohttp.ClientSession(  # noqa: TID251 - a seam of its own, like engines/transport.py
            connector=self._place.connector(),
            headers=self._place.headers(),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )


async def push(place: Place, bundle: Bundle) -> None:
    """Put `bundle` in place of what was pushed before. PolicyEngineDown if the OPA is away or refuses it."""
    try:
        async with _Client(place) as client:
            for name in await client.get_policies_list():
                if str(name).startswith(_PREFIX):
                    await client.delete_policy(quote(str(name)))
            await client.update_or_create_data(bundle.data, DATA_ROOT)
            await _put(client, {module.name: module.text for module in weld(bundle.modules)})
            marker = f'package {_MARKER.replace("/", ".")}\n\nrevision := "{bundle.revision}"\n'
            await client.update_policy_from_string(marker, f"{_PREFIX}pushed.rego", rego_compat=False)
    except _REFUSED as error:
        raise PolicyEngineDown(f"the policy could not be pushed: {type(error).__name__} {error}"[:500]) from None


async def pushed(place: Place) -> str:
    """The revision that was pushed last and whole, "" if none. PolicyEngineDown if the OPA is away."""
    try:
        async with _Client(place) as client:
            found = as_object(await client.get_data(f"{_MARKER}/revision")).get("result")
    except errors.PolicyNotFoundError:
        return ""
    except _REFUSED as error:
        raise PolicyEngineDown(type(error).__name__) from None
    return found if isinstance(found, str) else ""


async def _put(client: AsyncOpaClient, modules: dict[str, str]) -> None:
    """Each module compiles only once those are there that it uses: those that do not are tried again after the rest.

    Files of one package may use each other in a circle, so they go as one (`weld`).
    """
    while modules:
        failed: dict[str, str] = {}
        last: errors.RegoParseError | None = None
        for name, text in modules.items():
            try:
                await client.update_policy_from_string(text, _PREFIX + quote(name), rego_compat=False)
            except errors.RegoParseError as error:
                failed[name], last = text, error
        if last is not None and len(failed) == len(modules):
            raise last
        modules = failed
