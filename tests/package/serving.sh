# For the tests to source: a folder to work in, a socket of the test's own, and a daemon that ends with the test.
#   scratch_in DIR      makes $scratch, DIR, anew: always the same place, so that ccache knows the compilation again
#   serve BIN           starts BIN/tensord, by BIN/tensorctl
set -euo pipefail

scratch_in() {
  scratch=$1
  rm -rf "$scratch"
  mkdir -p "$scratch"
}

sockets=$(mktemp -d)  # elsewhere: a socket's path has little room
export TENSORD_SOCKET=$sockets/tensord.sock
unset TENSORD_DAEMON  # the daemon under test is the one beside what is tested
serving=
finish() {
  [ -z "$serving" ] || "$serving/tensorctl" stop || true
  rm -rf "$sockets"
}
trap finish EXIT

serve() {
  serving=$1
  PATH=$1:$PATH "$1/tensorctl" start
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
