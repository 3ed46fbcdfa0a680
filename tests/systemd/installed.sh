# For the tests to source: a box (see `box`) with a systemd that runs, the build installed in it, and two users.
# usage of such a test: TEST CMAKE BUILD_DIR CLIENT    (the client is exchange.cpp, built)
set -euo pipefail
umask 022
cmake=$1 build_dir=$2 client=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "only root can boot a systemd"
for program in unshare nsenter setpriv systemctl; do
  command -v $program >/dev/null || skip "$program is not installed"
done
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"

scratch=$(mktemp -d)
trap '"$here/box" stop "$scratch"; wait; rm -rf "$scratch"' EXIT

# ---- the box, with tensord installed and two users -----------------------------------------------

alice=50001 bob=50002 # not among those that systemd gives to DynamicUser=
files=$scratch/files
mkdir -p "$files/etc" "$files/usr/local/bin"
DESTDIR=$files "$cmake" --install "$build_dir" --component tensord --prefix /usr/local >"$scratch/install.log"
cp "$client" "$files/usr/local/bin/exchange"
for kind in passwd group; do cp /etc/$kind "$files/etc/$kind"; done
for user in alice:$alice bob:$bob; do
  echo "${user%:*}:x:${user#*:}:${user#*:}::/tmp/${user%:*}:/bin/sh" >>"$files/etc/passwd"
  echo "${user%:*}:x:${user#*:}:" >>"$files/etc/group"
done

setpriv --pdeathsig KILL "$here/box" boot "$scratch" "$files" >"$scratch/log" 2>&1 </dev/null &
booting=$!
if ! "$here/box" await "$scratch"; then
  "$here/box" stop "$scratch"
  status=0
  wait $booting || status=$?
  cat "$scratch/log"
  [ $status != 77 ] || skip "namespaces and mounts are not allowed here"
  skip "systemd does not boot in namespaces here"
fi
box() { "$here/box" run "$scratch" "$@"; }
as() { local uid=$1; shift; box setpriv --reuid "$uid" --regid "$uid" --clear-groups --reset-env "$@"; }

step() { printf '\n-- %s\n' "$*"; }
fail() {
  echo "FAILED: $*"
  box journalctl --no-pager -n 50 || true
  exit 1
}
trap 'fail "$BASH_COMMAND"' ERR
# `expect_in TEXT WORDS`, `eventually COMMAND`: what the test claims, or its end.
expect_in() { case $1 in *"$2"*) ;; *) fail "'$2' is not in: $1" ;; esac; }
eventually() {
  for _ in $(seq 300); do
    if "$@"; then return; fi
    sleep 0.1
  done
  fail "it never came true: $*"
}
has_state() { [ "$(box systemctl show -P ActiveState "$1")" = "$2" ]; }
main_pid() { box systemctl show -P MainPID tensord.service; }
unit=tensord.service socket=tensord.socket path=/run/tensord/tensord.sock

# What user@.service does for alice, less PAM and logind, which would want D-Bus. Fails if it does not start.
runtime=/run/user/$alice
start_users_manager() {
  box install -d -o $alice -g $alice -m 0700 $runtime /tmp/alice
  box systemd-run -q --unit=manager --uid=$alice --gid=$alice --service-type=notify \
    -p Delegate=yes -E XDG_RUNTIME_DIR=$runtime /lib/systemd/systemd --user --unit=basic.target && return
  box journalctl -q --no-pager -u manager -n 20 || true
  echo "not tried: a user's manager does not start here without D-Bus (systemd.units has read the unit files)"
  return 1
}
as_alice() { as $alice env XDG_RUNTIME_DIR=$runtime "$@"; }
user_systemctl() { as_alice systemctl --user "$@"; }
user_state() { [ "$(user_systemctl show -P ActiveState "$1")" = "$2" ]; }
