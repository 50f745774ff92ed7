#!/usr/bin/env bash
# Build the container images: images/build.sh [IMAGE]... [-- ENGINE_ARGUMENT...]
#
#   IMAGE       trainer or controller; both if none is named
#   ENGINE      docker, podman or buildah; the first that is installed
#   REPOSITORY  what the names begin with, such as registry.example/team/detsweep; by itself
#               localhost/detsweep, which no registry is asked for and the manifests name
#   TAG         the version of detsweep
#   BASE_IMAGE  another base with apt-get, for all images that are built
#   PIP_INDEX_URL, PIP_FIND_LINKS
#               where the packages lie, whose hashes are checked against the locks
#   TORCH_INDEX where torch lies, if elsewhere: torch alone is then not checked by its hash
#
# What follows -- goes to the engine: `images/build.sh trainer -- --network host`. For a cluster
# without GPUs, TORCH_INDEX=https://download.pytorch.org/whl/cpu saves some gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."

images=()
while (($#)) && [[ $1 != -- ]]; do
    images+=("$1")
    shift
done
shift || true # --
((${#images[@]})) || images=(trainer controller)

engine=${ENGINE:-}
for candidate in docker podman buildah; do
    engine=${engine:-$(command -v "$candidate" || true)}
done
if [[ -z $engine ]]; then
    echo "no container engine: install docker, podman or buildah, or name one by ENGINE" >&2
    exit 1
fi

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/detector/version.py)
arguments=(--build-arg "VERSION=$version")
if revision=$(git rev-parse HEAD 2>/dev/null); then
    arguments+=(--build-arg "REVISION=$revision")
fi
for name in BASE_IMAGE PIP_INDEX_URL PIP_FIND_LINKS TORCH_INDEX; do
    if [[ -n ${!name:-} ]]; then
        arguments+=(--build-arg "$name=${!name}")
    fi
done
if [[ ${engine##*/} == buildah ]]; then
    # docker and podman keep the layers for the next build by themselves.
    arguments+=(--layers --format docker)
fi

for image in "${images[@]}"; do
    name=${REPOSITORY:-localhost/detsweep}/$image:${TAG:-$version}
    if [[ ! -f images/$image/Dockerfile ]]; then
        echo "there is no image $image: choose trainer or controller" >&2
        exit 1
    fi
    "$engine" build "${arguments[@]}" "$@" --file "images/$image/Dockerfile" --tag "$name" .
    case ${engine##*/} in
    buildah) size=$("$engine" images --format '{{.Size}}' "$name" | head -n 1) ;;
    *) size=$("$engine" images --format '{{.Size}}' --filter "reference=*$name" | head -n 1) ;;
    esac
    echo "$name: $size"
done
