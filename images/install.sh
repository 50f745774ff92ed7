#!/bin/sh
# Install into an image what its requirements name, and what that needs, as the locks have it:
#
#   images/install.sh VENV REQUIREMENTS LOCKS [UV_ARGUMENT...]
#
# Each file's hash has to be in the locks. What they don't hold ends the build, as does a file that
# is another than theirs.
#
#   TORCH_INDEX=URL   torch from another index than the rest, such as the builds without CUDA at
#                     https://download.pytorch.org/whl/cpu. Those are other files than the locks',
#                     so torch and torchvision are of the locks' versions, but nothing checks them
#                     beyond that index's own certificate; everything else is checked.
#   PIP_INDEX_URL, PIP_FIND_LINKS   where the packages lie, if not on PyPI
#   UV                the program; by itself that of /opt/build
set -eu
venv=$1 requirements=$2 locks=$3
shift 3
uv=${UV:-/opt/build/bin/uv}
: "${UV_DEFAULT_INDEX:=${PIP_INDEX_URL:-}}" "${UV_FIND_LINKS:=${PIP_FIND_LINKS:-}}"
export UV_DEFAULT_INDEX UV_FIND_LINKS UV_NO_CACHE=1

install() {
    "$uv" pip install --python "$venv" --compile-bytecode "$@"
}

checked=--require-hashes
if [ -n "${TORCH_INDEX:-}" ] && grep -qE '^torch(vision)?==' "$requirements"; then
    grep -E '^torch(vision)?==' "$requirements" > "$requirements.torch"
    install --no-deps --default-index "$TORCH_INDEX" --requirement "$requirements.torch"
    # torch is there, without a hash: uv checks the hashes that the locks have, and asks for no more.
    checked=--verify-hashes
fi
install $checked --requirement "$requirements" --constraint "$locks" "$@"
