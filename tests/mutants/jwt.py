"""Planted bugs in JWTs, certificates, and the files that hold their keys."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

JWT, TLS = "tests/surface/test_jwt.py", "tests/surface/test_tls.py"
SETTINGS, SECRET = "tests/config/test_proving.py", "tests/ops/test_secret.py"
SYSTEM = "tests/system/test_proving.py"
JUDGE, KEYS, GATE = "ygg/api/jwt.py", "ygg/config/keys.py", "ygg/api/tls.py"

OTHER = JWT + "::test_another_key_and_another_algorithm_let_nobody_in"
DUMMY = JWT + "::test_what_has_no_head_with_an_algorithm_is_a_dummy"
FRESH = JWT + "::test_a_new_key_counts_from_the_next_request_on_and_ends_open_streams"
RENEWED = SYSTEM + "::test_a_reload_renews_the_certificate_and_an_open_connection_goes_on"

MUTANTS: list[Mutant] = [
    Mutant(
        "jwt: it says itself what it is signed with",
        JUDGE,
        "[self._verifying.algorithm], leeway",
        '[jwt.get_unverified_header(text)["alg"]], leeway',
        (OTHER,),
    ),
    Mutant(
        "jwt: any algorithm of the kind of key will do",
        JUDGE,
        "[self._verifying.algorithm], leeway",
        '["HS256", "HS384", "HS512", "RS256", "RS384", "PS256", "EdDSA"], leeway',
        (OTHER,),
    ),
    Mutant(
        "jwt: nobody looks at the signature",
        JUDGE,
        'options={"require": ["exp", "sub"],',
        'options={"verify_signature": False, "verify_exp": True, "require": ["exp", "sub"],',
        (OTHER,),
    ),
    Mutant(
        "jwt: one without an end holds for ever",
        JUDGE,
        '"require": ["exp", "sub"]',
        '"require": ["sub"]',
        (JWT + "::test_it_holds_from_its_begin_to_its_end_within_half_a_minute",),
    ),
    Mutant(
        "jwt: clocks must agree to the second",
        JUDGE,
        "LEEWAY_S = 30.0",
        "LEEWAY_S = 0.0",
        (JWT + "::test_it_holds_from_its_begin_to_its_end_within_half_a_minute",),
    ),
    Mutant(
        "jwt: nobody need be named",
        JUDGE,
        '"require": ["exp", "sub"]',
        '"require": ["exp"]',
        (JWT + "::test_who_brings_it_has_a_name",),
    ),
    Mutant(
        "jwt: any name will do",
        JUDGE,
        "        if re.fullmatch(NAME, name) is None or name == LOCAL:",
        "        if name == LOCAL:",
        (JWT + "::test_who_brings_it_has_a_name",),
    ),
    Mutant(
        "jwt: one may be called as who needs none",
        JUDGE,
        " is None or name == LOCAL:",
        " is None:",
        (JWT + "::test_who_brings_it_has_a_name",),
    ),
    Mutant(
        "jwt: an audience is not looked at",
        JUDGE,
        '"verify_aud": audience is not None',
        '"verify_aud": False',
        (JWT + "::test_issuer_and_audience_are_those_of_the_configuration",),
    ),
    Mutant(
        "jwt: an issuer is not looked at",
        JUDGE,
        "issuer=issuer, audience=audience,",
        "audience=audience,",
        (JWT + "::test_issuer_and_audience_are_those_of_the_configuration",),
    ),
    Mutant(
        "jwt: the least scope counts",
        JUDGE,
        "return Bearer(name, scopes[-1])",
        "return Bearer(name, scopes[0])",
        (JWT + "::test_the_greatest_scope_in_it_counts",),
    ),
    Mutant(
        "jwt: a scope is found inside of a word",
        JUDGE,
        "given = words.split() if isinstance(words, str) else ()",
        'given = words if isinstance(words, str) else ""',
        (JWT + "::test_without_one_it_lets_nobody_in",),
    ),
    Mutant(
        "jwt: one that is not signed is a dummy",
        JUDGE,
        r"\.[\w-]*\.[\w-]*",
        r"\.[\w-]*\.[\w-]+",
        (JWT + "::test_one_that_is_not_signed_lets_nobody_in",),
    ),
    Mutant(
        "jwt: a dummy with two dots is refused",
        JUDGE,
        'return isinstance(head, dict) and "alg" in head',
        "return isinstance(head, dict)",
        (DUMMY,),
    ),
    Mutant(
        "jwt: a head that is nested too deeply ends the request",
        JUDGE,
        "except (ValueError, RecursionError):",
        "except ValueError:",
        (DUMMY,),
    ),
    Mutant(
        "jwt: a wrong one counts as none",
        "ygg/api/callers.py",
        "        if jwt is not None and jwt.is_one(text):",
        "        if jwt is not None and jwt.is_one(text) and not trusted:",
        (JWT + "::test_a_wrong_one_is_refused_even_where_none_is_needed",),
    ),
    Mutant(
        "jwt: who comes by one is not cut off when its key goes",
        "ygg/api/callers.py",
        "Caller(name, scope, over=jwt.over)",
        "Caller(name, scope)",
        (JWT + "::test_the_caller_of_one_ends_with_its_key",),
    ),
    Mutant(
        "jwt: the key of the start is the one for ever",
        "ygg/api/credentials.py",
        "            self.jwt = fresh.jwt\n",
        "",
        (FRESH,),
    ),
    Mutant(
        "jwt: each reload ends all streams",
        "ygg/api/credentials.py",
        "if self.jwt is None or not self.jwt.judges_as(fresh.jwt):",
        "if True:",
        (FRESH,),
    ),
    Mutant(
        "jwt: another audience is the same rule",
        JUDGE,
        "return self.settings.issuer, self.settings.audience, self._verifying",
        "return self.settings.issuer, self._verifying",
        (JWT + "::test_another_issuer_or_audience_is_another_rule",),
    ),
    Mutant(
        "jwt: a short secret signs",
        KEYS,
        "    if len(text) < SECRET_MIN:",
        "    if False:",
        (SETTINGS + "::test_a_secret_is_one_long_line",),
    ),
    Mutant(
        "jwt: a private key lies where everybody may read it",
        KEYS,
        'if re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----", raw):',
        "if False:",
        (SETTINGS + "::test_a_public_key_is_one_of_these_kinds_in_pem",),
    ),
    Mutant(
        "jwt: a short RSA key will do",
        KEYS,
        "key.key_size < RSA_MIN",
        "key.key_size < 512",
        (SETTINGS + "::test_a_public_key_is_one_of_these_kinds_in_pem",),
    ),
    Mutant(
        "jwt: both files may be named",
        "ygg/config/proving.py",
        "        if (secret is None) is (public is None):",
        "        if secret is None and public is None:",
        (SETTINGS + "::test_one_of_the_two_files_says_who_signs",),
    ),
    Mutant(
        "jwt: the check does not look into the file",
        "ygg/config/proving.py",
        "                keys.verifying(found)\n",
        "                pass\n",
        (SETTINGS + "::test_a_secret_is_one_long_line",),
    ),
    Mutant(
        "jwt: where it lets in, an open address still takes a token",
        "ygg/config/addresses.py",
        "if api.insecure or api.jwt is not None else",
        "if api.insecure else",
        (SETTINGS + "::test_an_address_open_to_others_may_let_in_by_jwt_alone",),
    ),
    Mutant(
        "jwt: the path of the secret is hidden as if it were one",
        "ygg/config/show.py",
        'not in ("api_key_file", "secret_file")',
        'not in ("api_key_file",)',
        (SETTINGS + "::test_files_are_named_relative_to_the_configuration_and_shown_by_their_path",),
    ),
    Mutant(
        "jwt: a daemon starts with a file that proves nothing",
        "ygg/daemon.py",
        "    credentials = read(config.api)\n",
        "    from ygg.api.credentials import Credentials\n\n    credentials = Credentials()\n",
        (SYSTEM + "::test_a_file_that_proves_nothing_is_no_start",),
    ),
    Mutant(
        "jwt: a new secret takes a new start",
        "ygg/reloading.py",
        "            self._credentials.become(found)\n",
        "",
        (
            SYSTEM
            + "::test_a_jwt_lets_another_machine_in_and_a_new_secret_counts_from_the_reload_on",
            RENEWED,
        ),
    ),
    Mutant(
        "jwt: a secret is written over another one",
        "ygg/ops/secret.py",
        "os.O_WRONLY | os.O_EXCL",
        "os.O_WRONLY | os.O_TRUNC",
        (SECRET + "::test_what_is_there_stays",),
    ),
    Mutant(
        "jwt: half a secret is left behind",
        "ygg/ops/secret.py",
        "        path.unlink(missing_ok=True)\n",
        "",
        (SECRET + "::test_a_disk_that_is_full_leaves_no_half_of_it",),
    ),
    Mutant(
        "tls: the unix socket is encrypted too",
        "ygg/api/server.py",
        "plain = 1 if door.credentials.tls else len(socks)",
        "plain = 0 if door.credentials.tls else len(socks)",
        (TLS + "::test_tcp_is_encrypted_and_the_unix_socket_is_not",),
    ),
    Mutant(
        "tls: the certificate of the start is shown for ever",
        GATE,
        "        self._room, self._context, self._make = room, context, make\n",
        "        first = context() if room else None\n        self._room, self._context, self._make = room, lambda: first or context(), make\n",
        (
            TLS
            + "::test_a_new_certificate_is_shown_to_who_connects_and_who_is_connected_goes_on",
        ),
    ),
    Mutant(
        "tls: a handshake may last",
        GATE,
        "ssl_handshake_timeout=HANDSHAKE_S,",
        "ssl_handshake_timeout=60,",
        (TLS + "::test_a_handshake_that_does_not_end_is_ended",),
    ),
    Mutant(
        "tls: who shakes hands has no place",
        GATE,
        "        self._room.enter(self)\n",
        "",
        (TLS + "::test_who_shakes_hands_takes_a_place_that_others_get",),
    ),
    Mutant(
        "tls: a handshake keeps its place for ever",
        GATE,
        "        self._room.leave(self)\n",
        "",
        (TLS + "::test_who_shakes_hands_takes_a_place_that_others_get",),
    ),
    Mutant(
        "tls: a stop leaves handshakes open",
        "ygg/api/server.py",
        "    await gate.stop()\n",
        "",
        (TLS + "::test_a_stop_waits_for_no_handshake_and_leaves_nothing_open",),
    ),
    Mutant(
        "tls: versions that are broken are spoken",
        KEYS,
        "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        '    context.minimum_version = ssl.TLSVersion.TLSv1\n    context.set_ciphers("ALL:@SECLEVEL=0")\n',
        (TLS + "::test_nothing_older_than_tls_1_2_is_spoken",),
    ),
    Mutant(
        "tls: the check does not look into the files",
        "ygg/config/proving.py",
        "                keys.server_context(found)\n",
        "                pass\n",
        (SETTINGS + "::test_a_certificate_and_its_key_belong_together_and_are_there",),
    ),
    Mutant(
        "tls: it is turned off by a reload",
        "ygg/reloading.py",
        "        if (fresh.api.tls is None) is not (old.api.tls is None):",
        "        if False:",
        (RENEWED,),
    ),
    Mutant(
        "tls: the log says http",
        "ygg/api/server.py",
        'scheme = "http" if self.credentials.tls is None else "https"',
        'scheme = "http"',
        (TLS + "::test_the_door_says_which_it_speaks",),
    ),
]  # fmt: skip
