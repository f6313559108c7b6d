"""Which models of a server are sick: they fail whoever asks, so that no task is spent on them.

1. A model that has answered within `PROOF_S` works, unless several tasks have failed since: an error is then the
   task's own fault. Any other error is in doubt.
2. What is in doubt a canary decides, a call of ygg's own for one token (`placement.canaries`). If that fails too, the
   model is sick there.
3. Only canaries try a sick model, after 1, 2, 4 … 60 s. Where two are sick, the whole server is, but for models that
   have just worked.
4. Of tasks that fail within `TOGETHER_S` one may have brought the others down: from then on each server runs one of
   them at a time, of many a `SHARE`. Who has the bad one beside it fails once more, a quarter as many each time: where
   several such groups meet, the smallest says how many.
"""

from __future__ import annotations

from ygg.core.house import HostState, Proof, Server
from ygg.model import Candidate, Now, Policy, Reason, ReasonCode, because

PROOF_S = 60.0  #: so long a success shows that a model works
SICK_MODELS = 2  #: from so many on the fault is the server's
TOGETHER_S = 1.0  #: tasks that fail within this may have failed of one of them
SHARE = 4  #: a server runs one in so many of them at a time


def proof_of(server: Server, model: str) -> Proof:
    """What is known of the model there."""
    return server.proofs.setdefault(model, Proof())


def doubtful(server: Server, model: str, task_id: str, now: Now) -> bool:
    """Whether an error of this task may be the server's fault."""
    proof = proof_of(server, model)
    others = proof.blamed not in (None, task_id)
    proof.blamed = task_id
    return others or bool(proof.sick) or not _proven(proof, now)


def fell(server: Server, task_id: str, now: Now) -> set[str]:
    """A task has failed: which ones have together, none where it was alone."""
    fresh = {task: at for task, at in server.fallen.items() if now.mono - at <= TOGETHER_S}
    server.fallen = fresh | {task_id: now.mono}
    return set(server.fallen) if len(server.fallen) > 1 else set()


def _proven(proof: Proof, now: Now) -> bool:
    return now.mono - proof.worked <= PROOF_S


def worked(server: Server, model: str, now: Now) -> bool:
    """A call has completed; whether the model was sick until then."""
    proof = proof_of(server, model)
    was = bool(proof.sick)
    proof.worked, proof.blamed, proof.sick, proof.retry_s = now.mono, None, "", 0.0
    return was


def failed(server: Server, model: str, message: str, policy: Policy, now: Now) -> bool:
    """A canary has failed; whether the model was well until then."""
    proof = proof_of(server, model)
    news = not proof.sick
    proof.sick = message or "no answer"
    proof.retry_s = min(policy.probe_max_s, max(policy.probe_min_s, 2 * proof.retry_s))
    proof.ask_at = now.mono + proof.retry_s
    return news


def ask_now(host: HostState, now: Now) -> None:
    """A person wants it tried: sick models are asked again at once."""
    for server in host.servers.values():
        for proof in sick(server).values():
            proof.ask_at, proof.retry_s = now.mono, 0.0


def sick(server: Server) -> dict[str, Proof]:
    """Its sick models."""
    return {model: proof for model, proof in server.proofs.items() if proof.sick}


def obstacle(host: HostState | None, candidate: Candidate, now: Now) -> Reason | None:
    """Why no task may try this model there; None when it may."""
    server = host.servers.get(candidate.endpoint) if host else None
    if server is None or not server.proofs:
        return None
    proof = server.proofs.get(candidate.model)
    if proof is not None and proof.canary:
        again = "being asked again now" if proof.sick else "being asked now, after an error"
        return _reason(candidate.host, candidate.model, proof, again)
    found = sick(server)
    model = candidate.model
    if model not in found:
        if len(found) < SICK_MODELS or (proof is not None and _proven(proof, now)):
            return None
        model = next(iter(found))
    return _reason(candidate.host, model, found[model], _again(found[model], now), now)


def reason(name: str, model: str, proof: Proof, now: Now) -> Reason:
    """That a model has been found sick."""
    return _reason(name, model, proof, _again(proof, now), now)


def _again(proof: Proof, now: Now) -> str:
    return f"asked again in {max(0.0, proof.ask_at - now.mono):.0f} s"


def _reason(name: str, model: str, proof: Proof, again: str, now: Now | None = None) -> Reason:
    ms = None if now is None else now.wall_ms + round((proof.ask_at - now.mono) * 1000)
    facts = {"model": model or "its model", "message": proof.sick or "an error", "again": again}
    return because(ReasonCode.HOST_SICK, name, ms, **facts)
