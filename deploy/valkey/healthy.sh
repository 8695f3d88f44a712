#!/bin/sh
# Succeeds when the state server has loaded its data and lets its operator in.
REDISCLI_AUTH=$(cat /run/secrets/operator_password) valkey-cli --user operator ping | grep -qx PONG
