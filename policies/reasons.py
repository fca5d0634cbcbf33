"""Why the gateway says no: one closed list, shared by answers, logs, metrics and tests.

Each reason has exactly one `Cause`: the status, the constant text and the codes that the dialects render. No text
here (or anywhere) is built from what a caller sent. Statuses are those real clients obey (docs/decisions/0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """A closed vocabulary; the value is the stable code in error bodies, logs and metrics."""

    # the wire
    MALFORMED_REQUEST = "malformed_request"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNSUPPORTED_EXPECTATION = "unsupported_expectation"
    UNKNOWN_HOST = "unknown_host"
    UNKNOWN_ROUTE = "unknown_route"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    # the body
    INVALID_JSON = "invalid_json"
    DOCUMENT_TOO_COMPLEX = "document_too_complex"
    INVALID_PARAMETER = "invalid_parameter"
    MISSING_PARAMETER = "missing_parameter"
    UNKNOWN_PARAMETER = "unknown_parameter"
    # identity
    MISSING_CREDENTIAL = "missing_credential"
    INVALID_CREDENTIAL = "invalid_credential"
    CREDENTIAL_REVOKED = "credential_revoked"
    TOO_MANY_FAILURES = "too_many_failures"
    # policy
    SCOPE_MISSING = "scope_missing"
    MODEL_NOT_PERMITTED = "model_not_permitted"
    UNKNOWN_PRESET = "unknown_preset"
    PRESET_NOT_CONFIGURED = "preset_not_configured"
    REGISTRY_NOT_PERMITTED = "registry_not_permitted"
    PLACE_NOT_PERMITTED = "place_not_permitted"
    TOOLS_NOT_PERMITTED = "tools_not_permitted"
    IMAGES_NOT_PERMITTED = "images_not_permitted"
    QUOTA_EXCEEDED = "quota_exceeded"
    POLICY_DENIED = "policy_denied"
    POLICY_OBLIGATION = "policy_obligation"
    POLICY_FAILED = "policy_failed"
    POLICY_UNAVAILABLE = "policy_unavailable"
    # kept responses
    RESPONSE_NOT_FOUND = "response_not_found"
    PREVIOUS_RESPONSE_NOT_FOUND = "previous_response_not_found"
    RESPONSES_UNAVAILABLE = "responses_unavailable"
    # the stock of models
    MODEL_NOT_IN_REGISTRY = "model_not_in_registry"
    MODEL_IN_USE = "model_in_use"
    # limits
    LIMIT_EXCEEDED = "rate_limit_exceeded"
    LIMITS_UNAVAILABLE = "limits_unavailable"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    # turn and engine
    CONCURRENCY_EXCEEDED = "concurrency_exceeded"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"
    DRAINING = "draining"
    NO_ENGINE = "no_engine"
    OPERATION_NOT_SUPPORTED = "operation_not_supported"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_UNREACHABLE = "engine_unreachable"
    ENGINE_BROKE = "engine_broke"
    ENGINE_BUSY = "engine_busy"
    ENGINE_TIMEOUT = "engine_timeout"
    # the rest
    CLIENT_GONE = "client_gone"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Cause:
    """How a reason looks from outside: HTTP status, constant text, OpenAI error type, and whether to try again."""

    status: int
    text: str
    kind: str
    retry: bool = False


_INVALID = "invalid_request_error"
_AUTH = "authentication_error"
_DENIED = "permission_error"
_SERVER = "server_error"
_LIMIT = "rate_limit_error"

CAUSES: dict[Reason, Cause] = {
    Reason.MALFORMED_REQUEST: Cause(400, "The request is not valid HTTP for this gateway.", _INVALID),
    Reason.HEADERS_TOO_LARGE: Cause(400, "The request line or the headers are too large.", _INVALID),
    Reason.UNSUPPORTED_EXPECTATION: Cause(400, "Only 'Expect: 100-continue' is supported.", _INVALID),
    Reason.UNKNOWN_HOST: Cause(421, "This gateway does not answer to that host name.", _INVALID),
    Reason.UNKNOWN_ROUTE: Cause(404, "There is no such route.", _INVALID),
    Reason.BODY_TOO_LARGE: Cause(413, "The request body is too large.", _INVALID),
    Reason.BODY_TOO_SLOW: Cause(408, "The request body took too long to arrive.", _INVALID),
    Reason.UNSUPPORTED_MEDIA_TYPE: Cause(415, "Send application/json in UTF-8, without content encoding.", _INVALID),
    Reason.INVALID_JSON: Cause(400, "The body is not one strict JSON object.", _INVALID),
    Reason.DOCUMENT_TOO_COMPLEX: Cause(400, "The JSON document is nested too deeply or has too many parts.", _INVALID),
    Reason.INVALID_PARAMETER: Cause(400, "A parameter has a wrong type or is out of range.", _INVALID),
    Reason.MISSING_PARAMETER: Cause(400, "A required parameter is missing.", _INVALID),
    Reason.UNKNOWN_PARAMETER: Cause(400, "A parameter is unknown, and this listener is strict.", _INVALID),
    Reason.MISSING_CREDENTIAL: Cause(
        401, "No credential: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'.", _AUTH
    ),
    Reason.INVALID_CREDENTIAL: Cause(401, "The credential is not valid.", _AUTH),
    Reason.CREDENTIAL_REVOKED: Cause(401, "The credential was revoked or has expired.", _AUTH),
    Reason.TOO_MANY_FAILURES: Cause(429, "Too many failed attempts from this address.", _LIMIT, retry=True),
    Reason.SCOPE_MISSING: Cause(403, "The credential lacks the scope for this operation.", _DENIED),
    Reason.MODEL_NOT_PERMITTED: Cause(403, "The credential may not use this model.", _DENIED),
    Reason.UNKNOWN_PRESET: Cause(400, "There is no such model, and what follows its '@' is no preset.", _INVALID),
    Reason.PRESET_NOT_CONFIGURED: Cause(403, "The credential is bound to a preset that is not configured.", _DENIED),
    Reason.REGISTRY_NOT_PERMITTED: Cause(403, "Models do not come from that registry here.", _DENIED),
    Reason.PLACE_NOT_PERMITTED: Cause(403, "The credential may not be used from here.", _DENIED),
    Reason.TOOLS_NOT_PERMITTED: Cause(403, "The credential may not use these tools.", _DENIED),
    Reason.IMAGES_NOT_PERMITTED: Cause(403, "The credential may not send images.", _DENIED),
    Reason.QUOTA_EXCEEDED: Cause(429, "A quota of the credential is used up.", _LIMIT, retry=True),
    Reason.POLICY_DENIED: Cause(403, "The policy does not allow this request.", _DENIED),
    Reason.POLICY_OBLIGATION: Cause(403, "The policy ties its yes to something this gateway cannot do.", _DENIED),
    Reason.POLICY_FAILED: Cause(403, "The policy gave no usable decision; the operator's log has the id.", _DENIED),
    Reason.POLICY_UNAVAILABLE: Cause(503, "The policy engine does not answer.", _SERVER, retry=True),
    Reason.RESPONSE_NOT_FOUND: Cause(404, "There is no such response, or it is kept no longer.", _INVALID),
    # 400, as OpenAI's: agents look for the code, and then send the whole conversation.
    Reason.PREVIOUS_RESPONSE_NOT_FOUND: Cause(
        400, "An earlier response that this one needs is not there, or is kept no longer.", _INVALID
    ),
    Reason.RESPONSES_UNAVAILABLE: Cause(503, "The store of responses does not answer.", _SERVER, retry=True),
    Reason.MODEL_NOT_IN_REGISTRY: Cause(
        404, "The registry has no such model, or does not give it to everybody.", _INVALID
    ),
    Reason.MODEL_IN_USE: Cause(409, "The model is in use.", _INVALID),
    Reason.LIMIT_EXCEEDED: Cause(429, "A limit is used up.", _LIMIT, retry=True),
    Reason.LIMITS_UNAVAILABLE: Cause(503, "The store of the limits does not answer.", _SERVER, retry=True),
    Reason.LEDGER_UNAVAILABLE: Cause(503, "The request could not be written into the ledger.", _SERVER, retry=True),
    Reason.CONCURRENCY_EXCEEDED: Cause(
        429, "The credential has too many requests under way already.", _LIMIT, retry=True
    ),
    Reason.QUEUE_FULL: Cause(503, "All engines for this model are busy and the queue is full.", _SERVER, retry=True),
    Reason.QUEUE_TIMEOUT: Cause(503, "No turn on the engine came free in time.", _SERVER, retry=True),
    Reason.DRAINING: Cause(503, "The gateway is shutting down.", _SERVER, retry=True),
    Reason.NO_ENGINE: Cause(503, "No engine that serves this model is up.", _SERVER, retry=True),
    Reason.OPERATION_NOT_SUPPORTED: Cause(400, "The engine of this model does not offer this operation.", _INVALID),
    Reason.CONTEXT_LENGTH_EXCEEDED: Cause(400, "The prompt is longer than the model's context.", _INVALID),
    Reason.ENGINE_REFUSED: Cause(400, "The engine refused the request as invalid.", _INVALID),
    Reason.ENGINE_UNREACHABLE: Cause(502, "The engine could not be reached.", _SERVER, retry=True),
    Reason.ENGINE_BROKE: Cause(502, "The engine failed while answering.", _SERVER, retry=True),
    Reason.ENGINE_BUSY: Cause(503, "The engine is loading or overloaded.", _SERVER, retry=True),
    Reason.ENGINE_TIMEOUT: Cause(504, "The engine took too long.", _SERVER, retry=True),
    Reason.CLIENT_GONE: Cause(499, "The caller left.", _INVALID),
    Reason.INTERNAL: Cause(500, "The gateway failed; the operator's log has the request id.", _SERVER),
}
