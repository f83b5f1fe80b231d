#!/bin/sh
# Install authz on an empty Debian 12 or later: an account, the programs in /opt/authz, a data folder. Run as root, again
# for another version; what is there already stays. The Containerfile runs it too.
#
#   sh debian.sh DIST       DIST holds what `make dist` made: the wheel, and requirements.lock with the hash of all else
set -eu

dist=$(cd -- "${1:?say the folder that holds the wheel and requirements.lock}" && pwd)
wheel=$(ls -- "$dist"/authz-*.whl)
home=/var/lib/authz

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends python3 python3-venv ca-certificates >/dev/null
rm -rf /var/lib/apt/lists/*

# A number of its own, so that a volume keeps its owner from one image to the next.
getent group authz >/dev/null || groupadd --system --gid 8583 authz
getent passwd authz >/dev/null ||
    useradd --system --uid 8583 --gid authz --home-dir "$home" --shell /usr/sbin/nologin authz
install -d -m 0700 -o authz -g authz "$home"
install -d -m 0750 -o root -g authz /etc/authz

[ -x /opt/authz/bin/python ] || python3 -m venv /opt/authz
/opt/authz/bin/pip install --quiet --no-cache-dir --require-hashes --requirement "$dist/requirements.lock"
/opt/authz/bin/pip install --quiet --no-cache-dir --no-deps --no-index --force-reinstall "$wheel"
for program in authz ledger simulate; do
    ln -sf "/opt/authz/bin/$program" "/usr/local/bin/$program"
done

# systemd as PID 1 takes the unit; a container has none, and its engine is what starts and watches.
if [ -d /etc/systemd/system ] && [ -d /run/systemd/system ]; then
    unit=$(/opt/authz/bin/python -c 'from importlib.resources import files; print(files("authz") / "deploy/systemd/authz.service")')
    install -m 0644 "$unit" /etc/systemd/system/authz.service
    systemctl daemon-reload
fi
