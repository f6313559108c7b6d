"""Tokens: kept until they are revoked, and after a restart; a name is given once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.contract.conftest import Store
from ygg.errors import Conflict, NotFound, StoreError
from ygg.model import Priority, Token
from ygg.model.tokens import Rate, Scope

NOW = 1_800_000_000_000
BARE = Token("anna", "d1", Scope.SUBMIT, NOW)
FULL = Token("bob", "d2", Scope.READ, NOW, NOW + 5, Priority.HIGH, Rate(60, 60.0))


async def test_what_was_added_is_told_by_name(store: Store) -> None:
    assert await store.tokens() == []
    for token in (FULL, BARE):
        await store.add_token(token)
    assert await store.tokens() == [BARE, FULL]


async def test_a_name_is_given_once_until_it_is_revoked(store: Store) -> None:
    await store.add_token(BARE)
    again = Token("anna", "d3", Scope.ADMIN, NOW + 1)
    with pytest.raises(Conflict, match="there is a token 'anna' already"):
        await store.add_token(again)
    assert await store.tokens() == [BARE]
    await store.revoke_token("anna", NOW + 2)
    assert [t.revoked_ms for t in await store.tokens()] == [NOW + 2]
    await store.add_token(again)
    assert await store.tokens() == [again]


async def test_a_second_revoke_changes_nothing_and_an_unknown_name_is_an_error(
    store: Store,
) -> None:
    await store.add_token(BARE)
    await store.revoke_token("anna", NOW + 2)
    await store.revoke_token("anna", NOW + 9)
    assert [t.revoked_ms for t in await store.tokens()] == [NOW + 2]
    with pytest.raises(NotFound, match="no token 'bob'"):
        await store.revoke_token("bob", NOW)


async def test_tokens_outlive_their_writer(
    store: Store, reopen: Callable[[Store], Awaitable[Store]]
) -> None:
    await store.add_token(FULL)
    again = await reopen(store)
    assert await again.tokens() == [FULL]
    await again.close()


async def test_a_closed_store_gives_none_out(store: Store) -> None:
    await store.add_token(BARE)
    await store.close()
    for verb in (store.add_token(FULL), store.revoke_token("anna", NOW)):
        with pytest.raises(StoreError):
            await verb
