"""The system that a third acquirer is connected to: two links, every key sealed, certificates of both sides."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from authz.config.configuration import ISSUER, VAULT, master_of
from authz.demo_data import data as demo_data
from authz.security.master import create_master
from tests.links.certificates import Authority

OURS = "authz.issuer.example"
THEIRS = "host.nordpay.example"
VAULT_KEY_BYTES, ZONE_KEY_BYTES = 32, 16


def lay_out(folder: Path) -> None:
    """Write `authz.toml` and `master.key`, a certificate of ours, and what the acquirer sent and what it keeps."""
    master_file = folder / "master.key"
    create_master(master_file)
    master = master_of(None, master_file)
    demo = demo_data.read()

    def sealed(owner: str, keys: Mapping[str, str | None]) -> str:
        made = {name: bytes.fromhex(key) if key else secrets.token_bytes(ZONE_KEY_BYTES) for name, key in keys.items()}
        return "".join(f'{name} = "{master.seal(owner, name, key)}"\n' for name, key in made.items())

    known = {name: getattr(demo.link, name) for name in ("zpk", "zak", "zmk")}
    token, key = (master.seal(VAULT, name, secrets.token_bytes(VAULT_KEY_BYTES)) for name in ("token", "keys"))
    file = folder / "authz.toml"
    file.touch(mode=0o600)
    file.write_text(
        '[master]\nfile = "master.key"\n'
        f'[vault]\ntoken = "{token}"\nkeys = ["{key}"]\n'
        f"[issuer_keys]\n{sealed(ISSUER, demo.issuer_keys)}"
        f'[[link]]\nacquirer = "970001"\nport = 8583\n{sealed("970001", known)}'
        f'[[link]]\nacquirer = "970002"\nport = 8584\n{sealed("970002", dict.fromkeys(known))}'
    )
    for authority, names in (("issuer-ca", (OURS, "server")), ("nordpay-ca", (THEIRS, "nordpay"))):
        signing = Authority(folder, authority)
        made = signing.certify(names[0], names[0])
        made.certificate.rename(folder / f"{names[1]}.pem")
        made.key.rename(folder / f"{names[1]}.key")
        (folder / f"{names[1]}.key").chmod(0o600)
