#!/usr/bin/env bash
# A worker in plain curl: `worker.sh http://127.0.0.1:8080`. It runs the task `add` until it has waited 2 s in vain.
set -euo pipefail
service=${1:-http://127.0.0.1:8080}

post() { # post WHAT BODY
  curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --json "$2" "$service/workers/$1" \
    ${JOURNEYMAN_KEY:+--header "Authorization: Bearer $JOURNEYMAN_KEY"}
}
field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/"; } # the first value of that name

worker=$(post join '{"tasks": ["add"], "host": "curl"}' | field worker)
echo "joined $worker"
while claimed=$(post claim "{\"worker\": \"$worker\", \"wait\": 2}") && [[ $claimed == *'"claim"'* ]]; do
  task=$(field task <<<"$claimed") claim=$(field claim <<<"$claimed")
  numbers=$(sed -E 's/.*"args":\[([^]]*)\].*/\1/' <<<"$claimed")
  result=$((${numbers/,/ + }))
  post complete "{\"worker\": \"$worker\", \"task\": \"$task\", \"claim\": $claim, \"result\": $result}"
  echo
done
post leave "{\"worker\": \"$worker\"}" >/dev/null
echo "left"
