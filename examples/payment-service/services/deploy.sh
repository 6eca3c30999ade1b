#!/bin/sh
# Stands for whatever a team deploys with. It sees what it is to deploy in its environment and "runs" the component by
# writing down the version in a folder of the target.
set -eu
version=$(cat services/VERSION)
if [ "${1:-}" = --dry-run ]; then
  echo "would deploy $ATMOS_COMPONENT $version to $ATMOS_TARGET"
  exit 0
fi
running=${PAYMENT_SERVICE_RUNNING:-.running}
mkdir -p "$running/$ATMOS_TARGET"
{
  echo "version: $version"
  echo "commit: $ATMOS_GIT_SHA"
  echo "variables: $(cat "$ATMOS_VARS_FILE")"
} > "$running/$ATMOS_TARGET/$ATMOS_COMPONENT"
echo "deployed $ATMOS_COMPONENT $version to $ATMOS_TARGET"
echo "version=$version" >> "$ATMOS_OUTPUT"
