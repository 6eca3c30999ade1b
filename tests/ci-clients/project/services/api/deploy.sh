#!/bin/sh
echo "deploying $ATMOS_COMPONENT $(cat version) to $ATMOS_TARGET"
