#!/usr/bin/env bash
# Rolls a deployment out: first what processes need, then migrations, then the processes, those that are called first.
#
#   deploy/kubernetes/rollout.sh deploy/kubernetes/overlays/production
#
# Where a migration fails it says so and ends with status 1: the processes that run are left as they are. Done again, it goes on
# where it stopped. Two at once do no harm: migrations wait for one another in the database.
set -euo pipefail

overlay=${1:?usage: rollout.sh OVERLAY}
manifests=$(mktemp)
trap 'rm -f "$manifests"' EXIT
kubectl kustomize "$overlay" > "$manifests"
namespace=$(sed -n '/^kind: Namespace$/,/^---$/s/^  name: //p' "$manifests")
: "${namespace:?the overlay has no Namespace}"

apply() { # LABELS
  kubectl apply --filename "$manifests" --selector "$1"
}

finish() { # STEP: run its Jobs to their end, anew, since a Job can't be changed
  kubectl --namespace "$namespace" delete jobs --selector "notify/step=$1" --ignore-not-found --wait
  apply "notify/step=$1"
  local job
  for job in $(kubectl --namespace "$namespace" get jobs --selector "notify/step=$1" --output name); do
    until kubectl --namespace "$namespace" wait "$job" --for=condition=complete --timeout=5s > /dev/null 2>&1; do
      # A Job fails after its own deadline at the latest.
      if kubectl --namespace "$namespace" wait "$job" --for=condition=failed --timeout=0s > /dev/null 2>&1; then
        echo "rollout: $job failed; nothing was rolled out. Its log:" >&2
        kubectl --namespace "$namespace" logs "$job" --tail=20 >&2 || true
        exit 1
      fi
    done
    echo "$job is done"
  done
}

apply 'notify/step notin (migrate, seed, run)'
finish migrate
finish seed
for service in admin providers letters notifications api-gateway edge; do
  apply "notify/step=run,notify/service=$service"
  for deployment in $(kubectl --namespace "$namespace" get deployments --selector "notify/service=$service" --output name); do
    kubectl --namespace "$namespace" rollout status "$deployment" --timeout=15m
  done
done
