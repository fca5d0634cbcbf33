"""Why a request got its answer: what was asked, who decided, which rules and grants held, what was missing.

`rules` is the value of `data.gateway.authz` under the same input and policy (`Evaluator.rules`), `data` is
`data.gwcfg`: both are optional, and say nothing of the past if the policy is no longer the recorded one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from policies.json import JSON, Object, as_list, as_object, as_str
from policies.lifecycle.experiment import Change
from policies.lifecycle.nearness import Miss, Standing, bounds, standings
from policies.lifecycle.replay import Verdict, verdict
from policies.lifecycle.text import clean, words
from policies.reasons import Reason
from policies.record import Record

_ENTRY: Final = "decision"
_SHOWN: Final = 10
_STALE: Final = (
    "Another revision is at hand than the one that decided (or other grants: was the gateway's --config given?);\n"
    "what follows is by that other one."
)
_ASKED_OF: Final = {
    "credential": "the credential's own bounds; the policy was not asked",
    "cache": "the policy, by an answer that was kept",
    "last-good": "an earlier answer of the policy, as its engine was down",
    "embedded": "the policy, in the embedded engine",
    "opa": "the policy, in OPA",
    "remote": "the policy, in a remote OPA",
    "fleet": "the policy, in an OPA of the fleet",
}
_FAILURES: Final = {
    Reason.POLICY_UNAVAILABLE.value: "nobody: the policy engine did not answer, which is a no",
    Reason.POLICY_FAILED.value: "nobody: the policy gave no usable decision, which is a no",
    Reason.POLICY_OBLIGATION.value: "the gateway: it cannot do what the policy ties its yes to, which is a no",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules of the package came to: those that are true, those that are false, and the values of others."""

    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    values: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of the deciding record; `earlier` are those before a redirect. `recorded` is what the policy said then.

    `bounds` what the credential lacks, `grants` all grants with what failed (nearest first), `helps` the changes that
    would have made it a yes. `stale`: `rules` and `grants` are of another revision than the record's.
    """

    record: Record
    earlier: tuple[Record, ...]
    recorded: Verdict | None
    decided_by: str
    rules: Rules
    bounds: tuple[Miss, ...]
    grants: tuple[Standing, ...]
    helps: tuple[Change, ...]
    stale: bool

    @property
    def matched(self) -> tuple[str, ...]:
        """Ids of the grants that held: as recorded, else by today's data."""
        if self.recorded is not None and self.recorded.grants:
            return self.recorded.grants
        return tuple(grant.id for grant in self.grants if grant.matched)


def deciding(records: Sequence[Record]) -> Record:
    """Which of a request's records decided: the last question of a redirect. ValueError if there is none.

    Of several the first: what an OPA of the fleet reported of the same question came after the gateway had asked it.
    """
    if not records:
        raise ValueError("no record of that request")
    return max(records, key=lambda record: (record.redirect, -record.at))


def explain(
    records: Sequence[Record],
    *,
    rules: JSON = None,
    data: Object | None = None,
    revision: str = "",
    helps: Sequence[Change] = (),
) -> Explanation:
    """The explanation of one request from all its records (at least one). `revision` is that of `rules` and `data`."""
    record = deciding(records)
    target = as_str(as_object(rules).get("target"))
    earlier = sorted((r for r in records if r is not record), key=lambda r: (r.redirect, r.at))
    return Explanation(
        record=record,
        earlier=tuple(earlier),
        recorded=None if record.result is None else verdict(record.result),
        decided_by=_decided_by(record),
        rules=_rules(rules),
        bounds=bounds(record.input, target=target),
        grants=tuple(standings(data or {}, record.input, target=target)),
        helps=tuple(helps),
        stale=bool(revision and record.revision) and revision != record.revision,
    )


def _decided_by(record: Record) -> str:
    if not record.allow and record.reason in _FAILURES:
        return _FAILURES[record.reason]
    asked = _ASKED_OF.get(record.engine, f"the policy, in {clean(record.engine)}")
    if not record.allow and record.result is not None and verdict(record.result).allow:
        return f"the gateway, after a yes of {asked}"
    return asked


def _rules(value: JSON) -> Rules:
    package = {name: rule for name, rule in as_object(value).items() if name != _ENTRY}
    return Rules(
        true=tuple(sorted(name for name, rule in package.items() if rule is True)),
        false=tuple(sorted(name for name, rule in package.items() if rule is False)),
        values={name: rule for name, rule in sorted(package.items()) if not isinstance(rule, bool)},
    )


def explanation_document(explanation: Explanation) -> Object:
    """The explanation as JSON."""
    record, said = explanation.record, explanation.recorded
    earlier: list[JSON] = [
        {"at": r.at, "engine": r.engine, "allow": r.allow, "model": _at(r.input, "model", "resolved")}
        for r in explanation.earlier
    ]
    grants: list[JSON] = [
        {"id": grant.id, "matched": grant.matched, "misses": _misses(grant.misses)} for grant in explanation.grants
    ]
    helps: list[JSON] = [{"kind": change.kind, "what": change.description} for change in explanation.helps]
    result = as_object(record.result)
    return {
        "id": record.id,
        "at": record.at,
        "allow": record.allow,
        "reason": record.reason,
        "detail": record.detail,
        "decided_by": explanation.decided_by,
        "engine": record.engine,
        "revision": record.revision,
        "took_us": record.took_us,
        "masked": list(record.masked),
        "input": record.input,
        "result": record.result,
        "reasons": result.get("reasons", []),
        "obligations": {} if said is None else said.obligations,
        "grants_matched": list(explanation.matched),
        "earlier": earlier,
        "stale": explanation.stale,
        "rules": {
            "true": list(explanation.rules.true),
            "false": list(explanation.rules.false),
            "values": explanation.rules.values,
        },
        "bounds": _misses(explanation.bounds),
        "grants": grants,
        "would_help": helps,
    }


def _misses(misses: Sequence[Miss]) -> list[JSON]:
    return [{"condition": miss.condition, "wanted": miss.wanted, "had": miss.had} for miss in misses]


def render_explanation(explanation: Explanation) -> str:
    """The explanation for a terminal."""
    lines = [*_question(explanation.record), *_answer(explanation)]
    if explanation.stale:
        lines += ["", _STALE]
    lines += _rule_lines(explanation.rules)
    if not explanation.record.allow:
        lines += _missing(explanation)
    return "\n".join(lines) + "\n"


def _question(record: Record) -> list[str]:
    given = record.input
    caller, key, source, request = (as_object(given.get(name)) for name in ("caller", "key", "source", "request"))
    time, model = as_object(given.get("time")), as_object(given.get("model"))
    named = words(model.get("requested"))
    if model.get("resolved") != model.get("requested"):
        named += f" (that is {words(model.get('resolved'))})"
    listener = _at(given, "listener", "name") or "-"
    scoped = f"scopes {words(key.get('scopes'))}, models {words(key.get('models'))}"
    usual = {"n"} if request.get("n") == 1 else set[str]()
    carried = ("max_tokens", "n", "stream", "tools", "tool_names", "images", "messages", "input_chars")
    return [
        f"request   {clean(record.id)}",
        f"who       {words(caller.get('id'))}, groups {words(caller.get('groups'))}",
        f"with      credential {words(key.get('id'))} ({words(key.get('name'))}), {scoped}",
        f"what      {words(given.get('operation'))} with model {named}: "
        + ", ".join(f"{name} {words(request[name])}" for name in carried if request.get(name) and name not in usual),
        f"where     {words(source.get('ip'))}, networks {words(source.get('networks'))}, listener {listener}",
        f"when      {words(time.get('iso'))} ({words(time.get('tz'))})",
    ]


def _answer(explanation: Explanation) -> list[str]:
    record, said = explanation.record, explanation.recorded
    why = f": {clean(record.reason)}" if record.reason else ""
    lines = [
        f"verdict   {'allowed' if record.allow else 'denied'}{why}, by {explanation.decided_by}",
        f"revision  {clean(record.revision) or '-'}, {record.took_us} microseconds",
    ]
    if record.detail:
        lines.append(f"detail    {clean(record.detail, 500)}")
    reasons = map(as_object, as_list(as_object(record.result).get("reasons")))
    lines += [f"reason    {words(reason.get('code'))}: {words(reason.get('message'))}" for reason in reasons]
    if said is not None and said.obligations:
        lines.append(f"ties      {words(said.obligations)}")
    if explanation.matched:
        lines.append(f"grants    {clean(', '.join(explanation.matched))}")
    if record.masked:
        lines.append(f"redacted  {clean(', '.join(record.masked))}: not all of what was decided on is known")
    for step in explanation.earlier:
        outcome = "allowed" if step.allow else "denied"
        lines.append(f"before    {outcome} for {_at(step.input, 'model', 'resolved') or '-'}, by {_decided_by(step)}")
    return lines


def _rule_lines(rules: Rules) -> list[str]:
    lines: list[str] = []
    if rules.true or rules.false or rules.values:
        lines += [
            "",
            f"rules that hold      {words(list(rules.true))}",
            f"rules that do not    {words(list(rules.false))}",
        ]
        values = [f"    {clean(name)} = {words(v)}" for name, v in rules.values.items() if v not in ([], {}, "")]
        lines += ["values of the others", *values] if values else []
    return lines


def _missing(explanation: Explanation) -> list[str]:
    lines = [""]
    lines += [f"the credential lacks: {_miss(miss)}" for miss in explanation.bounds]
    if explanation.record.reason == Reason.PLACE_NOT_PERMITTED.value and explanation.record.result is None:
        lines.append("the credential is bound to other networks or listeners: see `keys show`")
    for grant in [grant for grant in explanation.grants if grant.misses][:_SHOWN]:
        lines.append(f"grant {clean(grant.id)} {'holds, but' if grant.matched else 'does not hold'}:")
        lines += [f"    {_miss(miss)}" for miss in grant.misses]
    more = sum(1 for grant in explanation.grants if grant.misses) - _SHOWN
    if more > 0:
        lines.append(f"and {more} grants that are further off")
    if explanation.helps:
        lines.append("it would have been allowed:")
        lines += [f"    {clean(change.description)}" for change in explanation.helps]
    return lines if len(lines) > 1 else []


def _miss(miss: Miss) -> str:
    return f"{miss.condition}: wanted {words(miss.wanted)}, had {words(miss.had)}"


def _at(document: Object, section: str, name: str) -> str:
    return clean(as_str(as_object(document.get(section)).get(name)))
