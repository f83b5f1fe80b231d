"""The address of a database: one host or several, and always a primary where something is written."""

import pytest

from ledger.primary import each_host
from ledger.schema import AddressInvalid, require_address


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://authz@host/authz",
        "postgresql:///authz",
        "postgresql://authz:secret@one,two:5433/authz?target_session_attrs=read-write",
        "postgresql://authz@10.0.0.1,[::1]:5433/authz",
        "postgresql://authz@/authz?host=/run/one,/run/two",
        "postgresql://authz@/authz?host=/run/one,/run/two&port=5432",
        "postgresql://authz@/authz?host=/run/one,two&port=5432,5433",
    ],
)
def test_an_address_names_one_host_or_several(address: str) -> None:
    require_address(address)
    assert [each_host(one) for one in each_host(address)] == [[one] for one in each_host(address)]


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "http://host/authz",
        "postgresql://host:0/authz",
        "postgresql://host:65536/authz",
        "postgresql://one,two:port/authz",
        "postgresql://one:0,two/authz",
        "postgresql://one,two/authz?port=1,2,3",
        "postgresql://authz@/authz?host=/run/one,/run/two&port=5432,x",
    ],
)
def test_what_is_no_address_is_refused_at_once_and_not_repeated(address: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        require_address(address)
    assert address not in str(caught.value)


def test_each_host_keeps_its_own_port_and_all_that_they_share() -> None:
    assert each_host("postgresql://authz:x%40y@one:1,two/authz?sslmode=verify-full") == [
        "postgresql://authz:x%40y@one:1/authz?sslmode=verify-full",
        "postgresql://authz:x%40y@two/authz?sslmode=verify-full",
    ]
    assert each_host("postgresql://authz@/authz?host=/one,/two&port=5432,5433") == [
        "postgresql://authz@/authz?host=%2Fone&port=5432",
        "postgresql://authz@/authz?host=%2Ftwo&port=5433",
    ]
