#!/bin/bash
# A sweep on several GPU machines of a SLURM cluster: Ray runs for as long as the job. See
# docs/clusters.md. Submit it in the root of the checkout, on a disk that all machines mount:
#
#   sbatch --nodes=4 --gpus-per-node=4 --cpus-per-task=32 sweeps/clusters/slurm.sh
#
# Ten minutes before its time is over, the sweep saves checkpoints and the job is queued again. It
# continues the sweep, as it does after a preemption or the loss of a machine.
#
#SBATCH --job-name=factorlab
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.log
set -euo pipefail

export PATH="$PWD/.venv/bin:$PATH"
export FACTORLAB_RUNS="${FACTORLAB_RUNS:-$PWD/runs}"
mkdir -p "$FACTORLAB_RUNS"

# Machines of a cluster share a secret. Whoever knows it can run code as you.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$FACTORLAB_RUNS/.ray-token-$SLURM_JOB_ID"
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")

# Sockets need a short path on each machine's own disk.
export RAY_TMPDIR="/tmp/ray-$SLURM_JOB_ID"
on_each() { srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 "$@"; }
on_each mkdir -p -m 700 "$RAY_TMPDIR"

clean_up() {
  rm -f "$RAY_AUTH_TOKEN_PATH"
  on_each rm -rf "$RAY_TMPDIR" || true
}
trap clean_up EXIT

# This script runs on the first machine, which becomes the head of Ray's cluster.
mapfile -t machines < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
export RAY_ADDRESS="${machines[0]}:$((20000 + SLURM_JOB_ID % 10000))"
export SWEEP_PID="$RAY_TMPDIR/sweep.pid"

stopped=no
# shellcheck disable=SC2329 # called by the trap
stop() {
  stopped=yes
  kill -TERM "$(cat "$SWEEP_PID")" || true # as Ctrl-C: it saves checkpoints and exits with status 130
}
trap stop TERM

# The job is exclusive: without --cpus-per-task, it has all cores of its machines.
cores="${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}"
gpus="${SLURM_GPUS_ON_NODE:-0}"
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
# shellcheck disable=SC2016 # the shell on the head expands it
sweep='echo $$ >"$SWEEP_PID"; exec factorlab sweep scaling --profile a100 --address "$RAY_ADDRESS"'
on_each --cpus-per-task="$cores" ray symmetric-run --address "$RAY_ADDRESS" \
  --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus="$cores" --num-gpus="$gpus" \
  --object-store-memory=200000000 --disable-usage-stats -- bash -c "$sweep" &
ray=$!

status=0
wait "$ray" || status=$?
if [ "$stopped" = yes ]; then # the signal has ended the wait, not the sweep
  status=0
  wait "$ray" || status=$?
  trap - TERM EXIT
  clean_up
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
