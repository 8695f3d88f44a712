import pytest
from redis.crc import key_slot

from askonce.board import BOARD_KEPT
from askonce.errors import StoreUnavailable

pytestmark = pytest.mark.integration

BOARD, NAMES = "{askonce:test:b00}:boards:service", "{askonce:test:b00}:boards"
TTL = 2.5


@pytest.fixture
def boards(shifted_store):
    return shifted_store.boards


def test_board_is_one_hash_in_the_slot_of_its_list(client, boards):
    boards.exchange("service", "a", b"note", TTL)
    boards.propose("service", 0, b"{}")

    assert {BOARD.encode(), NAMES.encode()} == set(client.keys("{*"))
    assert (b"hash", b"zset") == (client.type(BOARD), client.type(NAMES))
    assert key_slot(BOARD.encode()) == key_slot(NAMES.encode())


def test_board_that_no_member_uses_ends_after_its_time(client, server_clock, boards):
    boards.exchange("service", "a", b"note", TTL)
    client.persist(BOARD)
    boards.propose("service", 0, b"{}")

    assert BOARD_KEPT - 60 < client.ttl(BOARD) <= BOARD_KEPT
    assert BOARD_KEPT - 60 < client.ttl(NAMES) <= BOARD_KEPT

    server_clock.advance(BOARD_KEPT)
    boards.exchange("another", "a", b"note", TTL)

    assert [b"another"] == client.zrange(NAMES, 0, -1)


@pytest.mark.parametrize("version", ["x", "", "-1", "1.5", "9" * 20])
def test_version_that_no_proposal_wrote_begins_the_board_anew(client, boards, version):
    client.hset(BOARD, mapping={"version": version, "state": "old"})

    seen = boards.exchange("service", "a", b"note", TTL)

    assert (0, b"") == (seen.version, seen.state)
    assert boards.propose("service", 0, b"new")


def test_field_that_is_no_note_is_removed(client, server_clock, boards):
    soon = server_clock.micros // 1000 + 1000
    odd = {"field": "text", "note\nb": "no time", b"note\n\xff": f"{soon}\nnote"}
    client.hset(BOARD, mapping=odd)

    seen = boards.exchange("service", "a", b"note", TTL)

    assert b"note" == seen.notes.pop("a")
    assert ["\N{REPLACEMENT CHARACTER}"] == list(seen.notes)
    assert {b"note\na", b"note\n\xff"} == set(client.hkeys(BOARD))


@pytest.mark.parametrize("key", [BOARD, NAMES])
def test_key_of_another_type_is_a_store_of_no_use(client, boards, key):
    client.set(key, "text")

    with pytest.raises(StoreUnavailable):
        boards.exchange("service", "a", b"note", TTL)
    assert {} == boards.states()
