"""What the gateway does to an OPA beside asking it: put a policy there, see whether it is still there.

By opa-python-client, with what it lacks put in (a private CA, a UNIX socket, no second try that stalls for a second,
no silent rewriting of what was reviewed: facts A2).

An OPA takes one module at a time, so a push is not atomic there, and half a policy may allow what the whole denies.
So decisions are asked for at `api.ANSWER`, a rule of a module that goes first and comes last: during a push it is
undefined, which is a no, and afterwards every answer says by which revision it is.
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
_MODULES: Final = _PREFIX + "policy/"
# Beside the modules' folder: no file of a policy can have this name.
_MARKER_FILE: Final = _PREFIX + "pushed.rego"
_MARKER: Final = """package gateway.llm_gateway.pushed

revision := "%s"

answer := {"revision": revision, "decision": data.gateway.authz.decision}
"""
_REVISION: Final = "gateway/llm_gateway/pushed/revision"
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
        self._session = aiohttp.ClientSession(  # noqa: TID251 - a seam of its own
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
            await _clear(client)
            await client.update_or_create_data(bundle.data, DATA_ROOT)
            await _put(client, {module.name: module.text for module in weld(bundle.modules)})
            await client.update_policy_from_string(_MARKER % bundle.revision, _MARKER_FILE, rego_compat=False)
    except _REFUSED as error:
        raise PolicyEngineDown(f"the policy could not be pushed: {type(error).__name__} {error}"[:500]) from None


async def pushed(place: Place) -> str:
    """The revision that was pushed last and whole, "" if none. PolicyEngineDown if the OPA is away."""
    try:
        async with _Client(place) as client:
            found = as_object(await client.get_data(_REVISION)).get("result")
    except errors.PolicyNotFoundError:
        return ""
    except _REFUSED as error:
        raise PolicyEngineDown(type(error).__name__) from None
    return found if isinstance(found, str) else ""


async def _clear(client: AsyncOpaClient) -> None:
    """What was pushed goes, its marker first; a module whose functions another still calls goes after that one."""
    names = [name for name in map(str, await client.get_policies_list()) if name.startswith(_PREFIX)]
    if _MARKER_FILE in names:
        names.remove(_MARKER_FILE)
        await client.delete_policy(_MARKER_FILE)
    while names:
        needed: list[str] = []
        last: errors.DeletePolicyError | None = None
        for name in names:
            try:
                await client.delete_policy(quote(name))
            except errors.DeletePolicyError as error:
                needed.append(name)
                last = error
        if last is not None and len(needed) == len(names):
            raise last
        names = needed


async def _put(client: AsyncOpaClient, modules: dict[str, str]) -> None:
    """Each module compiles only once those are there that it uses: those that do not are tried again after the rest.

    Files of one package may use each other in a circle, so they go as one (`weld`).
    """
    while modules:
        failed: dict[str, str] = {}
        last: errors.RegoParseError | None = None
        for name, text in modules.items():
            try:
                await client.update_policy_from_string(text, _MODULES + quote(name), rego_compat=False)
            except errors.RegoParseError as error:
                failed[name], last = text, error
        if last is not None and len(failed) == len(modules):
            raise last
        modules = failed
