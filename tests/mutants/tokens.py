"""Planted bugs in tokens and what they let in."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TOKENS = "tests/surface/test_tokens.py"
STORED = "tests/contract/test_tokens.py"
CALLERS, BORDER, HOLDING = "ygg/api/callers.py", "ygg/api/border.py", "ygg/api/holding.py"

TABLE = TOKENS + "::test_every_scope_on_every_route_is_refused_or_let_in_as_written"
TRUSTED = TOKENS + "::test_who_is_trusted_without_a_token"
OWN = TOKENS + "::test_a_caller_sees_and_touches_its_own_tasks_alone"
PRIORITY = TOKENS + "::test_a_priority_above_the_best_is_refused_and_one_that_is_not_said_fits"
RATE = TOKENS + "::test_a_rate_is_of_tasks_and_says_when_to_come_back"
BUCKET = TOKENS + "::test_a_bucket_fills_evenly_and_no_higher_than_its_rate"
REVOKED = TOKENS + "::test_a_revoked_token_is_refused_at_once_and_its_stream_ends"
EXPIRED = TOKENS + "::test_a_stream_ends_at_the_moment_its_token_expires_and_says_so"
POLL = TOKENS + "::test_a_long_poll_ends_with_its_token"
CANCELLED = TOKENS + "::test_a_reader_that_is_cancelled_again_and_again_closes_what_it_reads"

MUTANTS: list[Mutant] = [
    Mutant(
        "tokens: a scope covers what is above it",
        "ygg/model/tokens.py",
        "_ORDER[self] >= _ORDER[Scope(needed)]",
        "_ORDER[self] <= _ORDER[Scope(needed)]",
        (TABLE,),
    ),
    Mutant(
        "tokens: nobody looks at the scope",
        "ygg/api/app.py",
        "        caller.check(verb)\n",
        "",
        (TABLE,),
    ),
    Mutant(
        "tokens: a verb that changes something takes no more than reading",
        "ygg/verbs.py",
        '("read" if self.method == "GET" else "admin")',
        '"read"',
        (TOKENS + "::test_the_least_scope_of_each_verb_is_what_is_written_here",),
    ),
    Mutant(
        "tokens: the live view is told who only reads",
        "ygg/desk.py",
        '"overseeing.snapshot", scope="admin")',
        '"overseeing.snapshot")',
        (TOKENS + "::test_the_least_scope_of_each_verb_is_what_is_written_here",),
    ),
    Mutant(
        "tokens: a body is read before it is known who sends it",
        "ygg/api/app.py",
        "        caller.check(verb)\n        given: dict[str, Any] = {name: await _READ[name](request) for name in verb.takes}\n",
        "        given: dict[str, Any] = {name: await _READ[name](request) for name in verb.takes}\n        caller.check(verb)\n",
        (TOKENS + "::test_a_body_is_not_read_for_who_may_not",),
    ),
    Mutant(
        "tokens: other machines are trusted",
        BORDER,
        "(api.insecure or is_loopback(local))",
        "(api.insecure or bool(local))",
        (TRUSTED,),
    ),
    Mutant(
        "tokens: a token that everybody needs is not asked for where nobody does",
        BORDER,
        "return not api.require_token and (api.insecure",
        "return (not api.require_token or api.insecure) and (api.insecure",
        (TRUSTED,),
    ),
    Mutant(
        "tokens: a dummy is looked at as one of ours",
        CALLERS,
        "        if text.startswith(PREFIX):",
        "        if text:",
        (TRUSTED,),
    ),
    Mutant(
        "tokens: one that is unknown is nobody's and counts as none",
        CALLERS,
        '            raise Unauthorized("no such token", hint=HOW)',
        "            return LOCAL",
        (TRUSTED,),
    ),
    Mutant(
        "tokens: one that was revoked is still let in",
        CALLERS,
        "        if token.revoked_ms is not None:\n            raise",
        "        if False:\n            raise",
        (REVOKED,),
    ),
    Mutant(
        "tokens: one that has expired is still let in",
        CALLERS,
        "        if token.expired(self._now_ms()):",
        "        if False:",
        (TOKENS + "::test_a_token_ends_at_its_time",),
    ),
    Mutant(
        "tokens: a stream outlives its token",
        "ygg/api/app.py",
        "            async for event in while_it_holds(caller.proof, events):",
        "            async for event in events:",
        (REVOKED,),
    ),
    Mutant(
        "tokens: a long poll outlives its token",
        "ygg/api/app.py",
        '        proof = caller.proof if verb.method == "GET" else None\n',
        "        proof = None\n",
        (POLL,),
    ),
    Mutant(
        "tokens: a stream outlives the end of its token",
        CALLERS,
        "return never if end_ms is None else",
        "return never if True else",
        (EXPIRED,),
    ),
    Mutant(
        "tokens: one that has expired is said to be revoked",
        HOLDING,
        'return Unauthorized(f"{self.what} has expired", hint=self.hint)',
        'return Unauthorized(f"{self.what} was revoked", hint=self.hint)',
        (EXPIRED, POLL),
    ),
    Mutant(
        "tokens: the end of one is waited for by the clock of its begin alone",
        HOLDING,
        "min(left_s, LOOK_S)",
        "left_s",
        (TOKENS + "::test_a_clock_that_is_set_is_seen_while_a_stream_is_open",),
    ),
    Mutant(
        "tokens: a client with a token that leaves is still followed for",
        HOLDING,
        "        await _stopped(step)\n",
        "        pass\n",
        (CANCELLED,),
    ),
    Mutant(
        "tokens: the cancel of a client that left counts once",
        HOLDING,
        "    while not step.done():\n        with contextlib.suppress(asyncio.CancelledError):\n            await asyncio.wait({step})",
        "    await asyncio.wait({step})",
        (CANCELLED,),
    ),
    Mutant(
        "tokens: a change is told nobody before the next start",
        "ygg/api/tokens.py",
        "        await self._control.revoke_token(name)\n        await self.learn()\n",
        "        await self._control.revoke_token(name)\n",
        (REVOKED,),
    ),
    Mutant(
        "tokens: a daemon that starts knows none",
        "ygg/daemon.py",
        "            await handlers.tokens.learn()\n",
        "",
        (
            "tests/system/test_listening.py::test_a_token_lets_another_machine_in_and_outlives_the_daemon",
        ),
    ),
    Mutant(
        "tokens: a task of somebody else is there",
        CALLERS,
        "        return self.owner in (None, task.lane.caller)",
        "        return True",
        (OWN,),
    ),
    Mutant(
        "tokens: a listing shows everybody's tasks",
        "ygg/api/queries.py",
        'caller=given.get("caller") if owner is None else owner,',
        'caller=given.get("caller"),',
        (OWN,),
    ),
    Mutant(
        "tokens: all tasks that fit are cancelled, whose ever they are",
        "ygg/api/tasks.py",
        "label=wanted.label, caller=caller.owner)",
        "label=wanted.label)",
        (OWN,),
    ),
    Mutant(
        "tokens: tasks of others are put back by their state",
        "ygg/api/tasks.py",
        "return await self.ids_in(states, Filter(caller=caller.owner))",
        "return await self.ids_in(states, Filter())",
        (OWN,),
    ),
    Mutant(
        "tokens: tasks of others are put back by their id",
        "ygg/api/tasks.py",
        "(await seen(self._control.archive, given, caller)).id",
        "(await self._control.archive.get(given)).id",
        (OWN,),
    ),
    Mutant(
        "tokens: an end that fits several tells the ids of others",
        CALLERS,
        "        if caller.owner is None:  # else it would tell ids of others",
        "        if True:",
        (TOKENS + "::test_several_that_fit_are_told_who_may_see_them_all",),
    ),
    Mutant(
        "tokens: which tasks run is told everybody",
        "ygg/api/overseeing.py",
        "return told if caller.owner is None else",
        "return told if True else",
        (TOKENS + "::test_which_tasks_run_is_told_who_sees_them_all",),
    ),
    Mutant(
        "tokens: the best priority of one is not looked at when many come",
        "ygg/api/submits.py",
        "            caller.check_priority(task.priority)\n",
        "",
        (PRIORITY,),
    ),
    Mutant(
        "tokens: a task may be raised above the best",
        "ygg/api/tasks.py",
        "        caller.check_priority(Priority(wanted.priority))\n",
        "",
        (PRIORITY,),
    ),
    Mutant(
        "tokens: who says no priority gets the usual one",
        CALLERS,
        "        if not silent or self.max_priority <= Priority.NORMAL:",
        "        if True:",
        (PRIORITY,),
    ),
    Mutant(
        "tokens: many tasks count as one",
        "ygg/api/submits.py",
        "        caller.spend(len(good))\n",
        "        caller.spend(1)\n",
        (RATE,),
    ),
    Mutant(
        "tokens: one task is free",
        "ygg/api/async_.py",
        "        caller.spend(1)\n",
        "",
        (RATE,),
    ),
    Mutant(
        "tokens: a bucket overflows",
        CALLERS,
        "self._level = min(self.rate.tasks, self._level + (now - self._at) * per_s)",
        "self._level = self._level + (now - self._at) * per_s",
        (BUCKET,),
    ),
    Mutant(
        "tokens: what was spent is forgotten when one is added",
        CALLERS,
        "            known = _Known(token, limit) if old is None else old",
        "            known = _Known(token, limit)",
        (TOKENS + "::test_what_was_spent_of_a_rate_is_remembered_when_tokens_are_learned_anew",),
    ),
    Mutant(
        "tokens: the text is kept",
        "ygg/api/tokens.py",
        "asked.name, digest_of(text), Scope",
        "asked.name, text, Scope",
        (TOKENS + "::test_texts_are_long_differ_and_are_stored_nowhere",),
    ),
    Mutant(
        "tokens: a name is given twice",
        "ygg/stores/sqlite/tokens.py",
        '    db.execute("DELETE FROM tokens WHERE name = ? AND revoked_ms IS NOT NULL", (token.name,))',
        '    db.execute("DELETE FROM tokens WHERE name = ?", (token.name,))',
        (STORED,),
    ),
    Mutant(
        "tokens: a second revoke moves the first",
        "ygg/stores/sqlite/tokens.py",
        "WHERE name = ? AND revoked_ms IS NULL",
        "WHERE name = ?",
        (STORED,),
    ),
    Mutant(
        "tokens: any token lets a daemon start, one that was revoked too",
        "ygg/stores/sqlite/tokens.py",
        "any(token.live(time.time_ns() // 1_000_000) for token in tokens(db))",
        "any(True for token in tokens(db))",
        (
            "tests/system/test_listening.py::test_a_token_lets_another_machine_in_and_outlives_the_daemon",
        ),
    ),
]
