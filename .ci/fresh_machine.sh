#!/usr/bin/env bash
# Proof that the two commands of the README work on a machine that has only Python and git: an empty Debian root
# (debootstrap), a clone of HEAD, `make run` until an edit session over WebRTC works, with --test also `make test`.
# Prints times and what was downloaded. Needs root, debootstrap and the package registries this machine is set up for.
#
#   nice bash .ci/fresh_machine.sh [--test]       FRESH_DIR=  where the roots lie (default .cache/fresh)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
repository=$PWD
suite=bookworm
packages=python3,python3-venv,git,make,ca-certificates
folder=${FRESH_DIR:-$repository/.cache/fresh}
base=$folder/$suite
root=$folder/machine
port=18473
run_tests=no
[ "${1:-}" = --test ] && run_tests=yes
[ "$(id -u)" = 0 ] || { echo "fresh_machine needs root: it makes a root file system" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh_machine needs debootstrap: apt-get install debootstrap" >&2; exit 1; }

mirror() { # of this machine's own apt
    { sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources
      sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list
    } 2>/dev/null | grep -v security | head -n 1
}

take_over() { # a file or folder of this machine, to the same place in the new root
    local path
    for path in "$@"; do
        [ -e "$path" ] || continue
        mkdir -p "$root$(dirname "$path")"
        rm -rf "${root:?}$path"
        cp -aL "$path" "$root$path"
    done
}

if [ ! -e "$base/.complete" ]; then
    echo "making an empty $suite with $packages ..."
    rm -rf "$base"
    mkdir -p "$base"
    timeout -k 10 900 debootstrap --variant=minbase --include="$packages" "$suite" "$base" "$(mirror)" >"$folder/debootstrap.log" 2>&1 ||
        { tail -n 5 "$folder/debootstrap.log" >&2; exit 1; }
    touch "$base/.complete"
fi
rm -rf --one-file-system "$root"
cp -a --reflink=auto "$base" "$root"

# How this machine reaches its package registries goes with it, whatever they are.
take_over /etc/hosts /etc/resolv.conf /etc/pip.conf /etc/xdg/pip /etc/npmrc ~/.npmrc ~/.pip ~/.config/pip \
    /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/apt/keyrings \
    /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates
for file in $(grep -lsE 'Acquire|Proxy' /etc/apt/apt.conf.d/* || true); do take_over "$file"; done
settings=()
while IFS= read -r -d '' pair; do
    case ${pair%%=*} in
        PIP_* | npm_config_* | NPM_CONFIG_* | *_proxy | *_PROXY | SSL_CERT_* | *_CA_BUNDLE | NODE_EXTRA_CA_CERTS | GIT_SSL_CAINFO)
            settings+=("$pair") ;;
    esac
done < <(env -0)

mkdir -p "$root/src" "$root/root"
cat >"$root/root/inside.sh" <<'INSIDE'
set -euo pipefail
cd /root
git -c safe.directory='*' clone --quiet file:///src relens
cd relens
echo "machine: $(. /etc/os-release; echo "$PRETTY_NAME"), $(python3 --version), $(git --version), $(nproc) cores, node: $(command -v node || echo none)"
echo "commit:  $(git log -1 --format='%h %s')"
received() { awk -F'[: ]+' '/:/ && $2 != "lo" { sum += $3 } END { printf "%.0f", sum }' /proc/net/dev; }
before=$(received)
began=$SECONDS
make run PORT="$PORT" >/root/run.log 2>&1 &
server=$!
until python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$PORT/readyz', timeout=2)" 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { cat /root/run.log; echo "make run ended"; exit 1; }
    [ $((SECONDS - began)) -lt 900 ] || { cat /root/run.log; echo "make run gave no URL in 15 minutes"; exit 1; }
    sleep 0.5
done
echo "make run: the URL answers after $((SECONDS - began)) s"
grep -vE 'WARNING: Location .* is ignored' /root/run.log | sed 's/^/    /' # find-links that this root does not have
echo "make run: downloaded at most $((($(received) - before) / 1000000)) MB: what this machine received meanwhile, whoever asked"
du -sh .venv web/node_modules web/dist | sed 's/^/    /'
.venv/bin/python .ci/edit_once.py "http://127.0.0.1:$PORT"
kill -TERM "$server"
wait "$server" || true
if [ "$RUN_TESTS" = yes ]; then
    began=$SECONDS
    make test
    echo "make test: passed after $((SECONDS - began)) s"
fi
INSIDE

# Mounts and processes are in namespaces of their own: whatever happens, they end with this command.
export ROOT="$root" REPOSITORY="$repository"
timeout -k 10 3600 unshare --mount --pid --fork --kill-child bash -c '
    set -e
    mount --make-rprivate /
    mount --rbind /dev "$ROOT/dev"
    mount --rbind /sys "$ROOT/sys"
    mount -t proc proc "$ROOT/proc"
    mount --bind "$REPOSITORY" "$ROOT/src"
    exec chroot "$ROOT" /usr/bin/env -i "$@" bash /root/inside.sh' _ \
    HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
    PORT=$port RUN_TESTS=$run_tests "${settings[@]}" </dev/null
echo "fresh machine: ok"
