"""Planted bugs where the API speaks TCP."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TCP = "tests/surface/test_tcp.py"
ADDRESSES = "tests/config/test_addresses.py"
LISTENING = "tests/system/test_listening.py"

BORDER, SETTINGS = "ygg/api/border.py", "ygg/config/addresses.py"

TARGETS = "tests/surface/test_targets.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "head: nobody is answered",
        "ygg/api/routes.py",
        '                here["HEAD"] = verb\n',
        "                pass\n",
        (TARGETS + "::test_head_answers_as_get_without_a_body_and_at_once",),
    ),
    Mutant(
        "head: what changes something is done",
        "ygg/api/routes.py",
        '            if verb.method == "GET":\n                here',
        "            if True:\n                here",
        (TARGETS + "::test_what_changes_something_has_no_head",),
    ),
    Mutant(
        "head: a long poll is waited for",
        "ygg/api/queries.py",
        "return 0.0 if isinstance(query, Looking) else",
        "return",
        (TARGETS + "::test_head_answers_as_get_without_a_body_and_at_once",),
    ),
    Mutant(
        "head: a stream goes on unseen",
        "ygg/api/app.py",
        'looking=request.method == "HEAD")',
        "looking=False)",
        (TARGETS + "::test_head_of_a_stream_has_its_headers_and_no_event",),
    ),
    Mutant(
        "head: who looks has read a result",
        "ygg/api/async_.py",
        "        if not isinstance(query, Looking):",
        "        if True:",
        (TARGETS + "::test_who_looks_has_not_read_a_result",),
    ),
    Mutant(
        "targets: Host says who is meant, whatever the target says",
        "ygg/api/malformed.py",
        '    headers = [*others, (b"host", found["host"])]',
        '    headers = scope["headers"]',
        (
            TARGETS + "::test_a_target_of_another_server_is_refused_though_host_is_ours",
            TARGETS + "::test_a_target_that_names_this_server_is_served_whatever_host_says",
        ),
    ),
    Mutant(
        "targets: a target names who asks",
        "ygg/api/malformed.py",
        "(?P<host>[^/@]+)",
        "(?:[^/@]+@)?(?P<host>[^/@]+)",
        (TARGETS + "::test_a_target_of_another_server_is_refused_though_host_is_ours",),
    ),
    Mutant(
        "targets: what is escaped in one stays so",
        "ygg/api/malformed.py",
        '"path": unquote(path.decode("ascii"))',
        '"path": path.decode("ascii")',
        (TARGETS + "::test_the_query_and_what_is_escaped_come_through",),
    ),
    Mutant(
        "tcp: any name is one of this machine",
        BORDER,
        "        if name == local or name in self._names",
        "        if name or name in self._names",
        (TCP + "::test_a_name_that_was_made_to_point_here_is_refused",),
    ),
    Mutant(
        "tcp: loopback is a name of the machine for others too",
        BORDER,
        "return is_loopback(name) and is_loopback(local)",
        "return is_loopback(name)",
        (TCP + "::test_from_another_machine_the_address_it_connects_to_is_a_name",),
    ),
    Mutant(
        "tcp: further names are compared with their capitals",
        BORDER,
        "name in map(str.lower, self._api().hosts)",
        "name in self._api().hosts",
        (TCP + "::test_further_names_are_those_of_the_configuration",),
    ),
    Mutant(
        "tcp: a page of another port may ask",
        BORDER,
        'foreign = origin is not None and origin.lower().partition("://")[2] != host.lower()',
        'foreign = origin is not None and name_of(origin.partition("://")[2]) != name_of(host)',
        (TCP + "::test_a_page_from_elsewhere_is_refused",),
    ),
    Mutant(
        "tcp: a page without an origin may ask",
        BORDER,
        '    if foreign or (site in ELSEWHERE and not (follows and method == "GET")):',
        "    if foreign:",
        (TCP + "::test_a_page_from_elsewhere_is_refused",),
    ),
    Mutant(
        "tcp: a form of another page may be sent",
        BORDER,
        'and not (follows and method == "GET")',
        "and not follows",
        (TCP + "::test_a_link_from_elsewhere_may_be_followed_but_no_form_sent",),
    ),
    Mutant(
        "tcp: a document of any type is taken",
        BORDER,
        "    if not _has_body(headers) or kind == JSON",
        "    if not _has_body(headers) or kind != JSON",
        (TCP + "::test_a_document_says_that_it_is_one",),
    ),
    Mutant(
        "tcp: a body in chunks needs no type",
        BORDER,
        'return "transfer-encoding" in headers or headers',
        "return headers",
        (TCP + "::test_a_body_in_chunks_needs_its_type_too",),
    ),
    Mutant(
        "tcp: the unix socket has a border too",
        BORDER,
        "            if port is not None:",
        "            if True:",
        (TCP + "::test_all_its_addresses_answer_and_none_after_it_stopped",),
    ),
    Mutant(
        "tcp: a daemon has no border",
        "ygg/api/outside.py",
        "app = Border(build_app(handlers), api, handlers.callers)",
        "app = build_app(handlers)",
        (LISTENING + "::test_what_the_mission_asks_by_curl_works_over_tcp",),
    ),
    Mutant(
        "tcp: the names of the start are those for ever",
        "ygg/daemon.py",
        "app = outside(handlers, lambda: scope.config.api, self.door.scraped_ports)",
        "app = outside(handlers, lambda: self.config.api, self.door.scraped_ports)",
        (LISTENING + "::test_another_list_takes_a_new_start_and_a_reload_says_so",),
    ),
    Mutant(
        "tcp: a socket stays when another cannot be had",
        "ygg/api/tcp.py",
        "[stack.enter_context(_bound(address)) for address in addresses]",
        "[_bound(address) for address in addresses]",
        (TCP + "::test_an_address_that_is_taken_says_so_and_keeps_no_other",),
    ),
    Mutant(
        "tcp: a wildcard takes the other family's too",
        "ygg/api/tcp.py",
        "        if family == socket.AF_INET6:",
        "        if False:",
        (TCP + "::test_both_wildcards_may_be_listened_on_at_once",),
    ),
    Mutant(
        "tcp: an open address starts",
        "ygg/daemon.py",
        "    refuse_open(config.api, lambda: wire.tokens_hold(os.environ))\n",
        "",
        (LISTENING + "::test_an_address_open_to_others_is_no_start_and_takes_nothing",),
    ),
    Mutant(
        "tcp: an open address passes the check",
        "ygg/cli/config.py",
        "    refuse_open(found.api, lambda: tokens_hold(os.environ))\n",
        "",
        (LISTENING + "::test_an_address_open_to_others_is_no_start_and_takes_nothing",),
    ),
    Mutant(
        "tcp: only the first address is looked at",
        SETTINGS,
        "    return [text for text in listen if",
        "    return [text for text in list(listen)[:1] if",
        (ADDRESSES + "::test_an_address_open_to_others_takes_a_token_or_a_word",),
    ),
    Mutant(
        "tcp: an insecure address is told nobody",
        "ygg/reloading.py",
        "        scope.dispatcher.exposed = exposed(scope.config.api)\n",
        "",
        (LISTENING + "::test_an_insecure_one_is_told_loudly_wherever_one_looks",),
    ),
    Mutant(
        "tcp: a list that changed is taken without effect",
        "ygg/reloading.py",
        "        if fresh.api.listen != old.api.listen:",
        "        if False:",
        (LISTENING + "::test_another_list_takes_a_new_start_and_a_reload_says_so",),
    ),
]
