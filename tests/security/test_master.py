"""Keys at rest: one master key, in a file that only its owner reads; every other key sealed under it for one place."""

import os
import re
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keyblock import KeyKind
from authz.security.keys import KEY_BYTES, KeyMalformed
from authz.security.master import (
    MARK,
    MASTER_VARIABLE,
    KeyFileRefused,
    Master,
    MasterWrong,
    create_master,
    find_master,
    read_master,
    replace_private,
)
from authz.security.module import Sealed, SecurityError

DIGITS = "5a17c3" * 10 + "5a17"
MASTER = Master(bytes.fromhex(DIGITS))
OTHER = Master(bytes.fromhex(DIGITS)[::-1])
KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")

names = st.sampled_from(sorted(KEY_BYTES))
owners = st.text(min_size=1, max_size=20)
named_keys = names.flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.sampled_from(KEY_BYTES[name]).flatmap(lambda length: st.binary(min_size=length, max_size=length)),
    )
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A master key's file."""
    file = tmp_path / "master.key"
    file.touch(0o600)
    file.write_text(f"{DIGITS}\n")
    return file


@given(owners, named_keys)
def test_a_sealed_key_opens_in_its_place(owner: str, named: tuple[str, bytes]) -> None:
    name, key = named
    assert MASTER.open(owner, name, MASTER.seal(owner, name, key)) == key


@given(st.tuples(owners, names), st.tuples(owners, names), st.data())
def test_and_in_no_other(place: tuple[str, str], other: tuple[str, str], data: st.DataObject) -> None:
    """A zone PIN key can't be made another link's, nor a MAC key: who edits the file can't move keys about."""
    if place == other:
        return
    sealed = MASTER.seal(*place, bytes(data.draw(st.sampled_from(KEY_BYTES[place[1]]))))
    with pytest.raises(Sealed, match=r"was sealed for another place, or altered") as caught:
        MASTER.open(*other, sealed)
    assert str(caught.value).startswith(f"{other[1]} of {other[0]}")


@given(st.integers(min_value=0))
def test_one_bit_changed_anywhere_does_not_open(bit: int) -> None:
    sealed = b64decode(MASTER.seal("970001", "zak", KEY).removeprefix(MARK))
    changed = (int.from_bytes(sealed) ^ 1 << bit % (8 * len(sealed))).to_bytes(len(sealed))
    with pytest.raises((Sealed, MasterWrong)):
        MASTER.open("970001", "zak", MARK + b64encode(changed).decode())


@pytest.mark.parametrize("text", ["", "sealed:", "sealed:AkWT", "sealed:$$$$", "sealed:é", "sealed:" + "A" * 63])
def test_what_is_no_sealed_key_is_named(text: str) -> None:
    with pytest.raises(SecurityError, match=r"^zak of 970001 "):
        MASTER.open("970001", "zak", text)


def test_a_wrong_master_is_told_apart_from_an_altered_text() -> None:
    sealed = OTHER.seal("970001", "zak", KEY)
    with pytest.raises(
        MasterWrong, match=f"under master key {OTHER.check_value}, and this one is {MASTER.check_value}"
    ):
        MASTER.open("970001", "zak", sealed)


def test_the_same_key_never_seals_alike() -> None:
    assert len({MASTER.seal("970001", "zak", KEY) for _ in range(50)}) == 50


def test_a_sealed_text_shows_neither_key() -> None:
    sealed = MASTER.seal("970001", "zak", KEY)
    plain = b64decode(sealed.removeprefix(MARK))
    assert KEY[:4] not in plain
    assert bytes.fromhex(DIGITS)[:4] not in plain
    assert bytes.fromhex(MASTER.check_value) in plain


def test_what_was_sealed_once_still_opens() -> None:
    """Configurations outlive releases."""
    text = "sealed:Ap6rOLjeU+Ix7oiHJQrl68JI2G79EMepNBJuNS6Xi9NcaRx/ecUbeoAeU6koH1Ty"
    assert MASTER.open("970001", "zak", text) == KEY


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_key_of_a_wrong_length_is_not_sealed(length: int) -> None:
    with pytest.raises(KeyMalformed, match=r"^zak must be 32 hexadecimal digits$"):
        MASTER.seal("970001", "zak", bytes(length))


class TestItsFile:
    def test_holds_64_hexadecimal_digits(self, file: Path) -> None:
        assert read_master(file).check_value == MASTER.check_value == KeyKind.AES.check_value(bytes.fromhex(DIGITS))

    @pytest.mark.parametrize("mode", [0o600, 0o400])
    def test_is_read_by_its_owner_alone(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        assert read_master(file).check_value == MASTER.check_value

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620, 0o602, 0o610, 0o601, 0o777])
    def test_is_refused_where_others_may_touch_it(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        with pytest.raises(KeyFileRefused, match=rf"^{re.escape(str(file))} can be read by others .*: chmod 600 "):
            read_master(file)

    def test_is_refused_where_it_belongs_to_another_account(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if os.geteuid() == 0:
            os.chown(file, 65_534, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(KeyFileRefused, match=r"belongs to another account \(uid \d+\)"):
            read_master(file)

    @pytest.mark.parametrize("text", ["", DIGITS[:-2], DIGITS + "00", DIGITS[:-1] + "x", "é" * 32, "\0" * 64])
    def test_ill_formed_is_refused_and_not_shown(self, file: Path, text: str) -> None:
        file.write_text(text)
        with pytest.raises(KeyMalformed, match=r"^master must be ") as caught:
            read_master(file)
        assert DIGITS[:8] not in str(caught.value)

    def test_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(KeyFileRefused, match=r"absent\.key can't be read: No such file"):
            read_master(tmp_path / "absent.key")

    def test_is_made_for_its_owner_alone_and_never_over_another(self, tmp_path: Path) -> None:
        made = create_master(tmp_path / "new.key")
        assert (tmp_path / "new.key").stat().st_mode & 0o777 == 0o600
        assert read_master(tmp_path / "new.key").check_value == made.check_value
        with pytest.raises(KeyFileRefused, match="File exists"):
            create_master(tmp_path / "new.key")
        assert read_master(tmp_path / "new.key").check_value == made.check_value


class TestTheEnvironment:
    def test_may_hold_it(self) -> None:
        found = find_master(None, {MASTER_VARIABLE: f" {DIGITS}\n"})
        assert found is not None
        assert found.check_value == MASTER.check_value

    def test_passes_it_on_to_no_child(self, file: Path) -> None:
        """An embedded PostgreSQL inherits what the authorizer has."""
        for named in (None, file):
            environment = {MASTER_VARIABLE: DIGITS, "PATH": "/bin"}
            find_master(named, environment)
            assert environment == {"PATH": "/bin"}

    def test_yields_to_a_file_that_is_named(self, file: Path) -> None:
        found = find_master(file, {MASTER_VARIABLE: "00" * 32})
        assert found is not None
        assert found.check_value == MASTER.check_value

    def test_without_it_there_is_none(self) -> None:
        assert find_master(None, {}) is None

    def test_ill_formed_is_refused_and_not_shown(self) -> None:
        with pytest.raises(KeyMalformed, match=r"^master must be hexadecimal digits$"):
            find_master(None, {MASTER_VARIABLE: DIGITS[:-1] + "x"})


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "authz.toml"
    file.write_text("old")
    file.chmod(mode)
    replace_private(file, "new\r\n")
    assert file.read_bytes() == b"new\r\n"
    assert file.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_can_not_be_replaced_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "authz.toml"
    file.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_private(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_no_repr_shows_a_key() -> None:
    for text in (repr(MASTER), str(MASTER), f"{[MASTER]!r}"):
        assert DIGITS[:8] not in text.lower()
        assert str(bytes.fromhex(DIGITS))[2:14] not in text
