#!/usr/bin/env bash
# Lets apps reach those that they call, and nobody else: without a policy no app reaches another one's internal route.
# Run once in the space of the platform, and again where a caller was added; doing it again changes nothing.
set -euo pipefail

allow() { # CALLER CALLED…
  local caller=$1 called
  shift
  for called in "$@"; do
    cf add-network-policy "notify-$caller" "notify-$called" --protocol tcp --port 8080
  done
}

allow gateway-public admin notifications letters providers
allow gateway-internal admin notifications letters providers
allow notifications admin letters providers
allow callbacks-worker admin
allow letters admin providers
