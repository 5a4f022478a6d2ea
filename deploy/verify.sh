#!/usr/bin/env bash
# Proves what an image does where no image can be built: installs each service by the images' own script, starts each of its
# processes as an image does, and looks. `deploy/verify.sh --help` says more; docs/operations.md, "Images", says what for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .venv/bin/python ] || { echo "verify: run \`make setup\` first" >&2; exit 1; }
exec .venv/bin/python deploy/docker/verify.py "$@"
