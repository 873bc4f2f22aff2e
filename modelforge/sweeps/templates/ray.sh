#!/bin/bash
# Runs the jobs of a sweep on a cluster of Ray: so many workers, each of which takes one job after the other. No process
# has to wait for them. All nodes see the sweep's folder at this path.
#   RAY_ADDRESS=http://HEAD:8265 bash {script}
# Run again, it leaves out what is finished, and goes on from checkpoints; `--retry-failed` begins failed jobs again.
set -euo pipefail

now=$(date +%s)
for worker in $(seq {parallel}); do
    ray job submit --no-wait --entrypoint-num-cpus {cpus} --submission-id "{name}-${{now}}-${{worker}}" \
        -- bash -c {command}
done
