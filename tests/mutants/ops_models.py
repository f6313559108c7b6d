"""Planted bugs in what looks after hosts, the queue and models."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MODELS = "tests/ops/models/test_inventory.py"
DESKS = "tests/surface/test_client_desks.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a pull that was cut counts as whole",
        "ygg/ops/models/ollama.py",
        '        if last != "success":',
        "        if False:",
        (f"{MODELS}::test_a_server_that_dies_in_a_pull_gives_one_line",),
    ),
    Mutant(
        "a key of the environment reaches every host",
        "ygg/ops/models/ollama.py",
        '            request.headers.pop("Authorization", None)\n',
        "",
        (f"{MODELS}::test_a_key_of_the_environment_reaches_no_host",),
    ),
    Mutant(
        "hosts are asked for their models one after the other",
        "ygg/ops/models/inventory.py",
        "    return list(await asyncio.gather(*(_list(config, *one) for one in wanted)))",
        "    return [await _list(config, *one) for one in wanted]",
        (f"{MODELS}::test_hosts_that_do_not_answer_are_named_and_cost_one_deadline",),
    ),
    Mutant(
        "an unload is believed before the model is gone",
        "ygg/ops/models/servers.py",
        "    while await loaded():",
        "    while False:",
        (f"{MODELS}::test_a_model_in_use_is_told_as_still_loaded",),
    ),
    Mutant(
        "the progress of a pull goes back",
        "ygg/ops/models/inventory.py",
        "(max(done, step.done), max(total, step.total))",
        "(step.done, step.total)",
        (f"{MODELS}::test_layers_add_up_and_never_go_back",),
    ),
    Mutant(
        "without a daemon a drained host looks ready",
        "ygg/api/offline.py",
        "h.name in held.drained",
        "False",
        (f"{DESKS}::test_a_pause_set_without_a_daemon_is_read_without_the_lock",),
    ),
    Mutant(
        "a pause is told late",
        "ygg/running/dispatcher.py",
        "        self._snapshot = None  # who has just paused reads that it is so",
        "        pass",
        (f"{DESKS}::test_a_pause_and_a_drained_host_are_told_by_queue_and_hosts",),
    ),
    Mutant(
        "a probe of one host asks them all",
        "ygg/api/offline.py",
        "if names is None or k[0] in names]",
        "]",
        (f"{DESKS}::test_a_probe_without_a_daemon_asks_one_host_and_tells_what_is_loaded",),
    ),
]
